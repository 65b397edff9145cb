() => {
  // What is wrong with a page at the width of the window, and the smallest scale of a figure on it
  const wide = document.documentElement.clientWidth;
  const bad = [];

  function overflow(element) {  // how the boxes around an element treat what is too wide
    for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
      const x = getComputedStyle(box).overflowX;
      if (x === 'auto' || x === 'scroll') return 'scrolls';
      if (x === 'hidden' || x === 'clip') return 'cut';
    }
    return 'pushes';
  }

  function name(element) {
    const classes = element.className ? '.' + element.className : '';
    const text = (element.textContent || element.alt || '').trim().slice(0, 50);
    return element.tagName.toLowerCase() + classes + ' "' + text + '"';
  }

  const scrolled = document.scrollingElement.scrollWidth;
  if (scrolled > wide) bad.push(`the page scrolls sideways (${scrolled} pixels)`);
  for (const element of document.querySelectorAll('main *')) {
    if (element.getBoundingClientRect().right <= wide + 1) continue;
    const how = overflow(element);
    if (how === 'pushes' && bad.length < 4) bad.push('too wide: ' + name(element));
    if (how === 'cut' && bad.length < 4) bad.push('cut off at the right: ' + name(element));
  }

  let least = 1, which = '';
  for (const image of document.querySelectorAll('img')) {
    if (!(image.alt || '').trim()) bad.push('no words for the picture ' + image.src.slice(0, 40));
    if (!image.complete || !image.naturalWidth) {
      bad.push('the picture does not load: ' + (image.getAttribute('src') || '').slice(0, 60));
      continue;
    }
    const scale = image.clientWidth / image.naturalWidth;
    if (image.naturalWidth >= 200 && scale < least) {
      least = scale;
      which = image.alt.slice(0, 50) + ` (${image.naturalWidth} pixels wide)`;
    }
  }
  return {bad, least, which};
}
