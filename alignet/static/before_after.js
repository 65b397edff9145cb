const NS = 'http://www.w3.org/2000/svg';
const shape = (k, x, y, r) => {
  const p = [[], [[-1, -1], [1, -1], [1, 1], [-1, 1]], [[0, -1.2], [1.1, .8], [-1.1, .8]], [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]], [[0, 1.2], [1.1, -.8], [-1.1, -.8]]][k % 5];
  if (!p.length) return `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`;
  return 'M' + p.map(([a, b]) => `${x + a * r * .9},${y + b * r * .9}`).join('L') + 'Z';
};
function svg(tag, attrs, parent) {
  const e = document.createElementNS(NS, tag);
  for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
  return parent ? parent.appendChild(e) : e;
}
function render({ model, el }) {
  const m = model.get('_map'), n = m.names.length, r = n > 400 ? .012 : n > 150 ? .018 : .025;
  const root = el.appendChild(make('div', 'alignet alignet-map', null, { role: 'group', 'aria-label': 'maps and neighbours before and after', 'data-lm-suppress-shortcuts': 'true' }));
  const head = root.appendChild(make('div', 'chosen'));
  const face = head.appendChild(make('img', null, null, { alt: '' }));
  const label = head.appendChild(make('label', 'dim', 'picture '));
  const list = label.appendChild(make('select'));
  m.names.map((o, i) => [o, i]).sort((a, b) => a[0].localeCompare(b[0])).forEach(([o, i]) => list.appendChild(make('option', null, o, { value: i })));
  const kept = head.appendChild(make('span', 'kept dim', '', { 'aria-live': 'polite' }));
  function put(parent, [x, y], i, url, w, cls) {       // a framed picture on the map
    svg('rect', { x: x - w / 2, y: -y - w / 2, width: w, height: w, rx: .015, stroke: m.colours[m.group[i] % m.colours.length], class: 'face ' + (cls || ''), 'data-i': i }, parent);
    svg('image', { x: x - w / 2 + .01, y: -y - w / 2 + .01, width: w - .02, height: w - .02, href: url }, parent);
  }
  const choose = (i) => { model.set('selected', i); model.save_changes(); };
  list.addEventListener('change', () => choose(Number(list.value)));
  const maps = root.appendChild(make('div', 'maps'));
  const sides = m.at.map((at, s) => {
    const side = maps.appendChild(make('div', 'side'));
    side.appendChild(make('h4', null, m.titles[s]));
    const map = svg('svg', { viewBox: '-1.12 -1.12 2.24 2.24', role: 'img', 'aria-label': `map ${m.titles[s]}` }, side);
    const lines = svg('g', {}, map), points = svg('g', {}, map), faces = svg('g', { class: 'faces' }, map), marks = svg('g', { class: 'marks' }, map);
    at.forEach(([x, y], i) => {
      const p = svg('path', { d: shape(m.group[i], x, -y, r), fill: m.colours[m.group[i] % m.colours.length], class: 'pt', 'data-i': i }, points);
      svg('title', {}, p).textContent = m.names[i] + (m.groups.length > 1 ? ` (${m.groups[m.group[i]]})` : '');
    });
    for (const i of m.faces[s]) put(faces, at[i], i, m.thumbs[i], .15);
    map.addEventListener('click', (e) => {
      if (e.target.dataset.i != null) return choose(Number(e.target.dataset.i));
      const o = new DOMPoint(e.clientX, e.clientY).matrixTransform(map.getScreenCTM().inverse());     // a click beside a point takes the nearest, if it is near
      let best = -1, d = .06;
      at.forEach(([x, y], i) => { const q = Math.hypot(x - o.x, -y - o.y); if (q < d) { d = q; best = i; } });
      if (best >= 0) choose(best);
    });
    return { at, map, lines, marks, strip: side.appendChild(make('div', 'strip')) };
  });
  if (m.groups.length > 1) {
    const legend = root.appendChild(make('div', 'row legend'));
    m.groups.forEach((g, k) => {
      const o = legend.appendChild(make('span'));
      svg('path', { d: shape(k, 0, 0, .8), fill: m.colours[k % m.colours.length] }, svg('svg', { viewBox: '-1.1 -1.1 2.2 2.2', 'aria-hidden': 'true' }, o));
      o.appendChild(document.createTextNode(' ' + g));
    });
  }
  function show() {
    const d = model.get('_detail');
    if (d.i == null) return;
    const had = root.contains(document.activeElement) && document.activeElement.closest('.strip');
    face.src = d.face; face.alt = m.names[d.i]; list.value = String(d.i);
    kept.textContent = `${d.kept} of ${d.near[0].length} neighbours are the same in both`;
    sides.forEach(({ at, map, lines, marks, strip }, s) => {
      const [x, y] = at[d.i];
      map.classList.add('asked'); lines.replaceChildren(); marks.replaceChildren(); strip.replaceChildren();
      d.near[s].forEach((o) => {
        svg('line', { x1: x, y1: -y, x2: at[o.i][0], y2: -at[o.i][1] }, lines);
        put(marks, at[o.i], o.i, o.url, .17);
        const b = strip.appendChild(make('button', null, null, { type: 'button', 'data-i': o.i, 'aria-label': `${m.names[o.i]}${o.both ? ', a neighbour in both' : ''}` }));
        b.appendChild(make('img', null, null, { src: o.url, alt: '' }));
        b.appendChild(make('span', null, (o.both ? '✓ ' : '') + m.names[o.i].replaceAll('_', ' ')));
        b.style.borderColor = m.colours[m.group[o.i] % m.colours.length];
        b.addEventListener('click', () => choose(o.i));
      });
      put(marks, at[d.i], d.i, d.face, .19, 'me');
    });
    root.dataset.selected = d.i;
    if (had) list.focus({ preventScroll: true });
  }
  root.addEventListener('keydown', (e) => e.stopPropagation());
  model.on('change:_detail', show);
  show();
  return () => model.off('change:_detail', show);
}
export default { render };
