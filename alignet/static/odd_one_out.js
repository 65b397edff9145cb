function render({ model, el }) {
  const root = make('div', 'alignet alignet-odd waiting', null, { tabindex: '0', role: 'group', 'data-lm-suppress-shortcuts': 'true' });
  const question = root.appendChild(make('div', 'question'));
  const pictures = root.appendChild(make('div', 'pictures'));
  const places = ['left', 'middle', 'right'];
  const buttons = places.map((p, i) => {
    const b = make('button', null, null, { type: 'button', 'aria-label': `picture ${i + 1} of 3, ${p}`, 'aria-keyshortcuts': String(i + 1) });
    b.appendChild(make('img', null, null, { draggable: 'false', alt: `picture ${i + 1} of 3` }));
    b.appendChild(make('span', 'name'));
    b.appendChild(make('span', 'key', String(i + 1), { 'aria-hidden': 'true' }));
    b.addEventListener('click', (e) => { choose(i, e); if (e.detail) root.focus({ preventScroll: true }); });
    return pictures.appendChild(b);
  });
  const foot = root.appendChild(make('div', 'row foot'));
  const back = foot.appendChild(make('button', 'undo', 'Back', { type: 'button', title: 'take the last answer back (Backspace or u)' }));
  const bar = foot.appendChild(make('div', 'bar', null, { role: 'progressbar', 'aria-valuemin': '0' }));
  const fill = bar.appendChild(make('div'));
  const count = foot.appendChild(make('span', 'dim count'));
  const note = root.appendChild(make('div', 'note dim', null, { role: 'status', 'aria-live': 'polite' }));
  const hint = 'Click a picture, or press 1, 2 or 3. Backspace or u: back.';
  el.appendChild(root);

  let trial = {}, serial = 0, ready = false, start = 0, hidden = false, timer = null;
  const frame = () => new Promise((go) => requestAnimationFrame(go));
  const say = (text, bad) => { note.textContent = text; note.classList.toggle('bad', !!bad); };

  async function show() {
    trial = model.get('_trial');
    clearTimeout(timer);
    ready = false; hidden = document.hidden;
    const mine = ++serial;
    root.style.setProperty('--px', `${trial.px || 200}px`);
    question.textContent = trial.done ? 'Done. Thank you!' : trial.question || '';
    root.setAttribute('aria-label', trial.question || 'odd one out');
    root.classList.toggle('done', !!trial.done);
    root.classList.add('waiting');
    bar.setAttribute('aria-valuemax', trial.total || 0); bar.setAttribute('aria-valuenow', trial.n_done || 0); bar.setAttribute('aria-label', 'progress');
    fill.style.width = `${100 * (trial.n_done || 0) / Math.max(1, trial.total || 1)}%`;
    count.textContent = trial.total ? `${trial.n_done} of ${trial.total}` : '';
    back.disabled = !trial.n_done;
    say(trial.note || (trial.done ? 'All answers are on the disk.' : hint), trial.bad);
    buttons.forEach((b) => b.classList.remove('chosen'));
    root.dataset.trial = trial.number || ''; root.dataset.ready = trial.done ? 'done' : '';
    if (trial.done || !trial.images) return;
    buttons.forEach((b, i) => {
      b.querySelector('img').src = trial.images[i];
      b.querySelector('.name').textContent = trial.labels ? trial.labels[i] : '';
      b.querySelector('img').alt = trial.labels ? trial.labels[i] : `picture ${i + 1} of 3`;
    });
    try { await Promise.all(buttons.map((b) => b.querySelector('img').decode())); }
    catch (e) { if (mine === serial) say('A picture could not be shown; run the cell again.', true); return; }
    if (mine !== serial) return;
    root.classList.remove('waiting');
    await frame(); await frame();                     // the frame with the pictures has been painted when the second one begins
    if (mine !== serial) return;
    start = performance.now(); ready = true;
    root.dataset.ready = trial.number;
    for (const url of trial.next || []) { const im = new Image(); im.src = url; if (im.decode) im.decode().catch(() => {}); }
  }

  function send(message) {
    ready = false;
    model.send(message);
    timer = setTimeout(() => say('The kernel does not answer. It may be busy, or gone: then restart it and run the cell again. Answers given so far are safe.', true), 6000);
  }
  function choose(i, e) {
    if (!ready) return;
    const now = performance.now(), t = e && e.timeStamp >= start && e.timeStamp <= now ? e.timeStamp : now;
    buttons[i].classList.add('chosen'); root.classList.add('waiting');
    send({ kind: 'answer', number: trial.number, position: i, rt: hidden ? null : (t - start) / 1000 });
  }
  function undo() { if (trial.n_done && (ready || trial.done)) { root.classList.add('waiting'); send({ kind: 'undo', number: trial.number || 0 }); } }
  back.addEventListener('click', (e) => { undo(); if (e.detail) root.focus({ preventScroll: true }); });

  function key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const i = ['1', '2', '3'].indexOf(e.key), u = e.key === 'Backspace' || e.key === 'u' || e.key === 'U';
    e.stopPropagation();                              // no shortcut of the notebook may see it
    if (e.repeat) { e.preventDefault(); return; }     // a key held down is one answer, Enter on a picture too
    if (i < 0 && !u) return;
    e.preventDefault();
    if (u) undo(); else choose(i, e);
  }
  root.addEventListener('keydown', key);
  for (const kind of ['keyup', 'keypress']) root.addEventListener(kind, (e) => e.stopPropagation());
  const away = () => { if (document.hidden) hidden = true; };
  document.addEventListener('visibilitychange', away);
  model.on('change:_trial', show);
  show();
  model.send({ kind: 'ready' });
  return () => { document.removeEventListener('visibilitychange', away); model.off('change:_trial', show); clearTimeout(timer); serial++; };
}
export default { render };
