for (const wipe of document.querySelectorAll('.wipe')) {
  const range = wipe.querySelector('input');
  const first = Number(wipe.dataset.first);
  const all = wipe.previousElementSibling.querySelectorAll('img');
  range.before(all[first].cloneNode(), all[first + 1].cloneNode());
  range.addEventListener('input', () => wipe.style.setProperty('--at', range.value + '%'));
}
for (const strip of document.querySelectorAll('.strip')) {
  const all = [...strip.querySelectorAll('figure')];
  const one = document.createElement('div');
  one.className = 'strip-one';
  const image = document.createElement('img');
  const caption = document.createElement('p');
  caption.className = 'remark';
  const range = Object.assign(document.createElement('input'), { type: 'range', min: 0, max: all.length - 1, value: all.length >> 1 });
  range.setAttribute('aria-label', 'picture of the strip');
  const show = () => {
    const figure = all[range.value];
    image.src = figure.querySelector('img').src;
    image.alt = figure.querySelector('img').alt;
    caption.textContent = figure.innerText;
  };
  range.addEventListener('input', show);
  one.append(image, range, caption);
  strip.after(one);
  show();
}
for (const table of document.querySelectorAll('table')) {
  table.querySelectorAll('th').forEach((head, column) => head.addEventListener('click', () => {
    const down = head.dataset.order !== 'up';
    head.dataset.order = down ? 'up' : 'down';
    const key = row => row.cells[column] ? row.cells[column].textContent : '';
    const order = (a, b) => {
      const [x, y] = [parseFloat(key(a)), parseFloat(key(b))];
      const less = Number.isNaN(x) || Number.isNaN(y) ? key(a).localeCompare(key(b)) : x - y;
      return down ? less : -less;
    };
    const body = table.tBodies[0];
    [...body.rows].sort(order).forEach(row => body.append(row));
  }));
}
