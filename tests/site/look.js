() => {
  // What is wrong with a page at the width of the window, the smallest scale of a figure on it,
  // pixels of each PNG for each pixel of the page, and the height of the page
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

  function density(image) {  // dots an inch that a PNG says of itself, in units of 80; those in files have 150
    if (/\.png$/.test(image.src)) return 150 / 80;
    const data = /^data:image\/png;base64,([A-Za-z0-9+/=\s]+)/.exec(image.src);
    if (!data) return 1;
    const bytes = atob(data[1].replace(/\s/g, '').slice(0, 4000));
    const at = bytes.indexOf('pHYs');
    if (at < 0) return 1;
    const metre = [0, 1, 2, 3].reduce((sum, k) => sum * 256 + bytes.charCodeAt(at + 4 + k), 0);
    return Math.max(1, metre * 0.0254 / 80);
  }

  let least = 1, which = '';
  const pixels = [];
  for (const image of document.querySelectorAll('img')) {
    if (!(image.alt || '').trim()) bad.push('no words for the picture ' + image.src.slice(0, 40));
    if (!image.complete || !image.naturalWidth) {
      bad.push('the picture does not load: ' + (image.getAttribute('src') || '').slice(0, 60));
      continue;
    }
    if (/\.png$|^data:image\/png/.test(image.src)) {
      pixels.push([image.naturalWidth / image.getBoundingClientRect().width, image.alt.slice(0, 50)]);
    }
    // what counts is the size of its letters: a figure of 160 dots an inch may stand at half its pixels
    const meant = Number(image.getAttribute('width')) || image.naturalWidth / density(image);
    const scale = image.clientWidth / meant;
    if (image.naturalWidth >= 200 && scale < least) {
      least = scale;
      which = image.alt.slice(0, 50) + ` (${image.naturalWidth} pixels wide)`;
    }
  }
  const tall = document.documentElement.scrollHeight;
  return {bad, least, which, pixels, tall};
}
