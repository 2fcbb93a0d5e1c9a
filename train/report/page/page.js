'use strict';
// Tables sort by a click on a column's name: upward first, then downward. What is absent comes last.
(function () {
  function value(cell) {
    const text = (cell.dataset.sort || cell.textContent).trim();
    if (text === '' || text === '-' || text === '- → -') return null;
    // "12.1 → 93.0" counts as its end, "91.2 – 94.5" as its beginning.
    const part = text.includes('→') ? text.slice(text.indexOf('→') + 1).trim() : text;
    if (part === '-') return null;
    const m = /^([+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?)(?:\/(\d+))?(?![\w.-])/i.exec(part);
    return m ? Number(m[1].replace(/,/g, '')) / Number(m[2] || 1) : text;
  }
  function compare(a, b) {
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    return String(a).localeCompare(String(b), 'en', { numeric: true });
  }
  for (const table of document.querySelectorAll('table')) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      head.querySelector('button').addEventListener('click', function () {
        const up = head.getAttribute('aria-sort') !== 'ascending';
        heads.forEach(function (h) { h.removeAttribute('aria-sort'); });
        head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
        const body = table.tBodies[0];
        const rows = Array.from(body.rows).map(function (row) { return { row: row, key: value(row.cells[column]) }; });
        rows.sort(function (a, b) {
          if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
          return up ? compare(a.key, b.key) : compare(b.key, a.key);
        });
        body.append(...rows.map(function (r) { return r.row; }));
      });
    });
  }
})();
