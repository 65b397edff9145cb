const colours = { people: '#de8f05', teacher: '#029e73', model: '#0173b2' };
function pick(words, options, value, change) {
  const l = make('label', 'dim', words + ' '), s = l.appendChild(make('select'));
  for (const o of options) s.appendChild(make('option', null, o, { value: o }));
  s.value = value;
  s.addEventListener('change', () => change(s.value));
  return l;
}
function render({ model, el }) {
  const root = el.appendChild(make('div', 'alignet alignet-triplets', null, { tabindex: '0', role: 'group', 'aria-label': 'triplets', 'data-lm-suppress-shortcuts': 'true' }));
  const turn = (d) => { const p = model.get('_page'); if (p.pages && p.page + d >= 0 && p.page + d < p.pages) model.send({ kind: 'page', value: p.page + d }); };
  function show() {
    const p = model.get('_page'), had = root.contains(document.activeElement) && document.activeElement.dataset.part;
    root.replaceChildren();
    if (!p.cards) return;
    root.style.setProperty('--px', `${p.px}px`);
    const bar = root.appendChild(make('div', 'row bar'));
    const left = bar.appendChild(make('button', 'prev', '‹ Back', { type: 'button', 'data-part': 'prev' }));
    bar.appendChild(make('span', 'where', `page ${p.pages ? p.page + 1 : 0} of ${p.pages} · ${p.found} triplets`, { 'aria-live': 'polite' }));
    const right = bar.appendChild(make('button', 'next', 'Next ›', { type: 'button', 'data-part': 'next' }));
    left.disabled = p.page < 1; right.disabled = p.page + 1 >= p.pages;
    left.addEventListener('click', () => turn(-1)); right.addEventListener('click', () => turn(1));
    bar.appendChild(pick('order', p.orders, p.order, (v) => model.send({ kind: 'order', value: v })));
    if (p.shows.length > 1) bar.appendChild(pick('show', p.shows, p.show, (v) => model.send({ kind: 'show', value: v })));
    const cards = root.appendChild(make('div', 'cards'));
    for (const c of p.cards) {
      const card = cards.appendChild(make('div', 'card', null, { role: 'group', 'aria-label': `triplet ${c.row}` }));
      const three = card.appendChild(make('div', 'three'));
      c.names.forEach((name, i) => {
        const f = three.appendChild(make('figure', i === 2 ? 'odd' : ''));
        f.appendChild(make('div', 'frame')).appendChild(make('img', null, null, { src: c.images[i], alt: name }));
        f.appendChild(make('figcaption', null, name, { title: name }));
        for (const [who, probs] of Object.entries(c.probs)) {
          const b = f.appendChild(make('div', 'p', null, { title: `${who}: ${(100 * probs[i]).toFixed(1)}% that this is the odd one` }));
          const fill = b.appendChild(make('i')); fill.style.width = `${100 * probs[i]}%`; fill.style.background = colours[who];
          b.appendChild(make('span', null, `${who} ${Math.round(100 * probs[i])}%`));
        }
      });
      const foot = card.appendChild(make('div', 'row top dim'));
      foot.appendChild(make('span', null, `row ${c.row}`)); foot.appendChild(make('span', null, `${p.measure} ${c.disagreement.toFixed(2)}`));
    }
    root.dataset.page = p.page;
    if (had) { const e = root.querySelector(`[data-part=${had}]`); (e && !e.disabled ? e : root).focus({ preventScroll: true }); }
  }
  root.addEventListener('keydown', (e) => {
    e.stopPropagation();
    if (e.target.tagName === 'SELECT' || e.ctrlKey || e.metaKey || e.altKey) return;
    const d = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (d) { e.preventDefault(); turn(d); }
  });
  model.on('change:_page', show);
  show();
  model.send({ kind: 'ready' });
  return () => model.off('change:_page', show);
}
export default { render };
