// Charts of report.html, drawn with D3 as inline SVG. Every figure says in data-points how many values it draws, has a
// name for screen readers, and holds the same values as a table.
'use strict';

// make builds an element. Text goes in as text nodes alone: nothing from a record is ever read as markup.
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'tone') node.style.setProperty('--tone', `var(--${value})`);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const format = {
  whole: d3.format(',d'),
  percent: (x) => `${(100 * x).toFixed(Math.abs(x) < 0.9995 ? 1 : 0)} %`,
  exact_percent: (x) => `${(100 * x).toFixed(2)} %`,
  metric: (x) => x.toFixed(4),
  short: (x) => (x >= 1e4 ? d3.format('.3s')(x).replace('G', 'B') : format.whole(x)),
  // A mean of whole numbers is shown as one where it is one.
  count: (x) => (Number.isInteger(x) ? format.whole(x) : d3.format(',.1f')(x)),
  bytes(x) {
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let unit = 0;
    for (; x >= 999.5 && unit < units.length - 1; ++unit) x /= 1000;
    return `${unit === 0 || x >= 99.5 ? Math.round(x) : x.toPrecision(x < 10 ? 2 : 3)} ${units[unit]}`;
  },
  seconds(x) {
    if (x >= 5400) return `${(x / 3600).toFixed(1)} h`;
    if (x >= 90) return `${(x / 60).toFixed(1)} min`;
    if (x >= 0.9995) return `${x.toFixed(x < 10 ? 2 : 1)} s`;
    if (x >= 0.9995e-3) return `${(1e3 * x).toFixed(x < 1e-2 ? 1 : 0)} ms`;
    return x === 0 ? '0' : `${(1e6 * x).toFixed(0)} µs`;
  },
};

function swatch(tone, kind) {
  return make('span', { class: `swatch ${kind || ''}`, tone, 'aria-hidden': 'true' });
}

// table makes a table from rows of texts, nodes, or {text, class}. The first column heads its rows.
function table(heads, rows, options = {}) {
  const cell = (tag, value, scope) => {
    const plain = value === null || value === undefined || typeof value !== 'object' || value instanceof Node;
    const item = plain ? { text: value } : value;
    return make(tag, { class: item.class, scope, title: item.title, style: undefined, colspan: item.span },
      ...[item.text].flat().map((part) => (part instanceof Node ? part : String(part ?? '–'))));
  };
  return make('table', { class: options.class },
    options.caption ? make('caption', {}, options.caption) : null,
    make('thead', {}, make('tr', {}, heads.map((head) => cell('th', head, 'col')))),
    make('tbody', {}, rows.map((row) => make('tr', { class: row.class },
      (row.cells || row).map((value, i) => (i === 0 ? cell('th', value, 'row') : cell('td', value)))))));
}

function tableDetails(heads, rows, label = 'Show as a table') {
  const details = make('details', {}, make('summary', {}, label));
  // Built when it is first opened: long runs have thousands of cells.
  const build = () => {
    if (details.childElementCount === 1) details.append(make('div', { class: 'scroll', tabindex: '0' }, table(heads, rows())));
  };
  details.addEventListener('toggle', build);
  addEventListener('beforeprint', () => { if (details.open) build(); });
  return details;
}

const tip = {
  node: null,
  show(event, title, lines) {
    tip.node ||= document.getElementById('tip');
    tip.node.replaceChildren(make('b', {}, title),
      ...lines.map(([tone, text]) => make('div', {}, tone ? swatch(tone) : null, make('span', {}, text))));
    tip.node.hidden = false;
    const box = tip.node.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, innerWidth - box.width - 8);
    const top = event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 18;
    tip.node.style.left = `${Math.max(8, left)}px`;
    tip.node.style.top = `${Math.max(8, top)}px`;
  },
  hide() { if (tip.node) tip.node.hidden = true; },
};

// figure makes the frame of a chart and draws it whenever its width changes. `draw(svg, width)` returns the height.
function figure({ id, title, note, now, label, points, details, draw }) {
  const plot = make('div', { class: 'plot' });
  const node = make('figure', { id, class: 'chart', 'data-points': points },
    make('figcaption', {}, make('h3', {}, title), now ? make('span', { class: 'now' }, now) : null,
      note ? make('p', {}, note) : null),
    plot, details || null);
  let drawn = 0;
  const render = () => {
    const width = Math.floor(plot.clientWidth);
    if (width < 60 || width === drawn) return;
    drawn = width;
    const svg = d3.create('svg').attr('role', 'img').attr('aria-label', label).attr('width', width);
    const height = draw(svg, width);
    svg.attr('height', height).attr('viewBox', `0 0 ${width} ${height}`);
    plot.replaceChildren(svg.node());
  };
  // In a frame of its own: a chart changes the height of what is observed.
  new ResizeObserver(() => requestAnimationFrame(render)).observe(plot);
  return node;
}

function roundAxis(svg, x, top, width, text) {
  const axis = svg.append('g').attr('transform', `translate(0,${top})`)
    .call(d3.axisBottom(x).ticks(Math.max(2, Math.floor(width / 75)), ',d').tickSize(0).tickPadding(9));
  // A run of few rounds has no half rounds.
  axis.selectAll('.tick').filter((value) => !Number.isInteger(value)).remove();
  svg.append('text').attr('x', x.range()[1]).attr('y', top + 33).attr('text-anchor', 'end').text(text);
}

function valueAxis(svg, y, left, right, tick, count) {
  svg.append('g').attr('transform', `translate(${left},0)`)
    .call(d3.axisLeft(y).ticks(count || 4).tickFormat(tick).tickSize(-(right - left)).tickPadding(8));
}

// lineChart draws series [{name, tone, dash, width, x[], y[], low[], high[]}] over rounds.
function lineChart({ series, yTick, yText, fromZero, reference, height = 190, ...rest }) {
  const points = d3.sum(series, (line) => line.y.length);
  const details = tableDetails(['Round', ...series.map((line) => line.name)], () => {
    const rounds = [...new Set(series.flatMap((line) => line.x))].sort(d3.ascending);
    const at = series.map((line) => new Map(line.x.map((round, i) => [round, line.y[i]])));
    return rounds.map((round) => [format.whole(round), ...at.map((map) => (map.has(round) ? yText(map.get(round)) : '–'))]);
  });
  const draw = (svg, width) => {
    const left = 46;
    const right = width - 6;
    const top = 10;
    const x = d3.scaleLinear().domain(d3.extent(series.flatMap((line) => line.x))).range([left, right]);
    if (x.domain()[0] === x.domain()[1]) x.domain([x.domain()[0] - 1, x.domain()[0] + 1]);
    const values = series.flatMap((line) => [...line.y, ...(line.low || []), ...(line.high || [])]);
    if (reference) values.push(reference.value);
    let [low, high] = d3.extent(values);
    if (fromZero) low = 0;
    if (low === high) [low, high] = fromZero ? [0, high || 1] : [low - 0.01, high + 0.01];
    const y = d3.scaleLinear().domain([low, fromZero ? high * 1.08 : high]).nice(4).range([height, top]);
    valueAxis(svg, y, left, right, yTick);
    roundAxis(svg, x, height, width, 'round');
    for (const line of series) {
      if (!line.low) continue;
      svg.append('path').datum(line.x).style('fill', `var(--${line.tone})`).style('opacity', 0.16)
        .attr('d', d3.area().x((round) => x(round)).y0((_, i) => y(line.low[i])).y1((_, i) => y(line.high[i])));
    }
    if (reference) {
      svg.append('line').attr('class', 'reference').attr('x1', left).attr('x2', right)
        .attr('y1', y(reference.value)).attr('y2', y(reference.value));
      svg.append('text').attr('x', right).attr('y', y(reference.value) - 6).attr('text-anchor', 'end').text(reference.name);
    }
    for (const line of series) {
      svg.append('path').datum(line.y).style('fill', 'none').style('stroke', `var(--${line.tone})`)
        .style('stroke-width', line.width || 2).style('stroke-dasharray', line.dash || null)
        .style('stroke-linejoin', 'round').style('stroke-linecap', line.dash ? 'butt' : 'round')
        .attr('d', d3.line().x((_, i) => x(line.x[i])).y((value) => y(value)));
      if (line.y.length === 1) {
        svg.append('circle').attr('cx', x(line.x[0])).attr('cy', y(line.y[0])).attr('r', 3).style('fill', `var(--${line.tone})`);
      }
    }
    const cursor = svg.append('g').style('display', 'none');
    const rule = cursor.append('line').attr('class', 'cursor').attr('y1', top).attr('y2', height);
    const dots = series.map((line) => cursor.append('circle').attr('r', 3.5).style('fill', `var(--${line.tone})`));
    svg.append('rect').attr('class', 'hit').attr('x', left).attr('y', top).attr('width', right - left).attr('height', height - top)
      .on('pointermove', () => {
        const event = d3.event;
        const place = x.invert(d3.clientPoint(svg.node(), event)[0]);
        const near = series.map((line) => nearest(line.x, place));
        const round = series[0].x[near[0]];
        cursor.style('display', null);
        rule.attr('x1', x(round)).attr('x2', x(round));
        series.forEach((line, s) => dots[s].attr('cx', x(line.x[near[s]])).attr('cy', y(line.y[near[s]])));
        tip.show(event, `Round ${format.whole(round)}`,
          series.map((line, s) => [line.tone, `${line.name} ${yText(line.y[near[s]])}`]));
      })
      .on('pointerleave', () => { cursor.style('display', 'none'); tip.hide(); });
    return height + 40;
  };
  return figure({ points, details, draw, ...rest });
}

function nearest(sorted, value) {
  const i = Math.min(Math.max(d3.bisectLeft(sorted, value), 1), sorted.length - 1);
  return i > 0 && value - sorted[i - 1] < sorted[i] - value ? i - 1 : Math.max(i, 0);
}

// dotChart draws a row per category and a dot per run on a scale from 0 to 1.
function dotChart({ rows, series, ...rest }) {
  const details = tableDetails(['', ...series.map((one) => one.name)],
    () => rows.map((row, r) => [row, ...series.map((one) => format.exact_percent(one.values[r]))]));
  const draw = (svg, width) => {
    const left = 58;
    const right = width - 14;
    const step = Math.max(36, 13 * series.length + 12);
    const height = 8 + step * rows.length;
    const x = d3.scaleLinear().domain([0, 1]).range([left, right]);
    svg.append('g').attr('transform', `translate(0,${height})`)
      .call(d3.axisBottom(x).ticks(width < 400 ? 3 : 5, '.0%').tickSize(-height).tickPadding(8));
    rows.forEach((row, r) => {
      const middle = 8 + step * (r + 0.5);
      svg.append('text').attr('class', 'label').attr('x', 0).attr('y', middle).attr('dy', '.35em').text(row);
      series.forEach((one, s) => {
        const y = middle + (s - (series.length - 1) / 2) * 13;
        const tone = `var(--${one.tone})`;
        svg.append('line').attr('x1', left).attr('x2', x(one.values[r])).attr('y1', y).attr('y2', y)
          .style('stroke', tone).style('stroke-width', series.length === 1 ? 6 : 4).style('stroke-linecap', 'round');
        if (series.length === 1) {
          const inside = one.values[r] > 0.8;
          svg.append('text').attr('class', 'label').attr('x', x(one.values[r]) + (inside ? -2 : 9)).attr('y', y)
            .attr('dy', inside ? '-0.8em' : '.35em').attr('text-anchor', inside ? 'end' : 'start')
            .text(format.percent(one.values[r]));
        }
      });
      svg.append('rect').attr('class', 'hit').attr('x', 0).attr('width', width).attr('y', middle - step / 2).attr('height', step)
        .on('pointermove', () => tip.show(d3.event, row,
          series.map((one) => [one.tone, `${one.name} ${format.exact_percent(one.values[r])}`])))
        .on('pointerleave', tip.hide);
    });
    return height + 26;
  };
  return figure({ points: rows.length * series.length, details, draw, ...rest });
}

// eventChart draws marks [{row, round, kind, text}] on a line per row, over all rounds. A kind has a tone, and a shape for
// those who do not see tones.
function eventChart({ rows, rounds, kinds, marks, ...rest }) {
  const details = tableDetails(['Round', 'Who', 'Event', 'What', 'Time'],
    () => marks.map((mark) => [format.whole(mark.round), mark.row, mark.event, { class: 'text', text: mark.text }, mark.at]));
  const draw = (svg, width) => {
    const left = d3.max(rows, (row) => row.length) * 6.6 + 10;
    const right = width - 12;
    const step = 26;
    const height = step * rows.length + 4;
    const x = d3.scaleLinear().domain([-0.5, rounds + 0.5]).range([left, right]);
    rowLabels(svg, rows, step, 4);
    rows.forEach((row, r) => {
      const y = 4 + step * (r + 0.5);
      svg.append('line').attr('x1', left).attr('x2', right).attr('y1', y).attr('y2', y).style('stroke', 'var(--line)');
    });
    // Marks of the same row and round stand side by side.
    const taken = new Map();
    for (const mark of marks) {
      const kind = kinds[mark.kind];
      const place = `${mark.row} ${mark.round}`;
      const before = taken.get(place) || 0;
      taken.set(place, before + 1);
      svg.append('path').attr('class', 'mark-event').attr('d', d3.symbol().type(kind.shape).size(90)())
        .attr('transform', `translate(${Math.min(x(mark.round) + 11 * before, width - 8)},${4 + step * (rows.indexOf(mark.row) + 0.5)})`)
        .style('fill', `var(--${kind.tone})`).style('stroke', 'var(--surface)').style('stroke-width', 1.5)
        .on('pointermove', () => tip.show(d3.event, `Round ${format.whole(mark.round)}, ${mark.row}`, [[kind.tone, mark.text]]))
        .on('pointerleave', tip.hide);
    }
    roundAxis(svg, x, height, width, 'round');
    return height + 40;
  };
  return figure({ points: marks.length, details, draw, ...rest });
}

// spanText names the rounds of a column: "Round 7", "Rounds 7 to 12".
function spanText([first, last], one = 'Round', many = 'Rounds') {
  return first === last ? `${one} ${format.whole(first)}` : `${many} ${format.whole(first)} to ${format.whole(last)}`;
}

// stackChart draws, for every column of rounds, the layers [{name, tone, values[]}] on top of each other.
function stackChart({ columns, layers, yText, height = 230, ...rest }) {
  const details = tableDetails(['Rounds', ...layers.map((layer) => layer.name)],
    () => columns.map((column, c) => [column[0] === column[1] ? format.whole(column[0]) : `${column[0]}–${column[1]}`,
      ...layers.map((layer) => yText(layer.values[c]))]));
  const draw = (svg, width) => {
    const left = 52;
    const right = width - 6;
    const top = 10;
    const x = d3.scaleLinear().domain([columns[0][0] - 0.5, columns[columns.length - 1][1] + 0.5]).range([left, right]);
    const sums = columns.map((_, c) => d3.sum(layers, (layer) => layer.values[c]));
    const y = d3.scaleLinear().domain([0, d3.max(sums) || 1]).nice(4).range([height, top]);
    valueAxis(svg, y, left, right, yText);
    roundAxis(svg, x, height, width, 'round');
    columns.forEach(([first, last], c) => {
      const from = x(first - 0.5);
      const wide = Math.max(0.6, (x(last + 0.5) - from) * ((right - left) / columns.length > 6 ? 0.84 : 1));
      let below = 0;
      for (const layer of layers) {
        const value = layer.values[c];
        if (value > 0) {
          svg.append('rect').attr('x', from).attr('width', wide).attr('y', y(below + value))
            .attr('height', Math.max(0, y(below) - y(below + value))).style('fill', `var(--${layer.tone})`);
        }
        below += value;
      }
    });
    svg.append('rect').attr('class', 'hit').attr('x', left).attr('y', top).attr('width', right - left).attr('height', height - top)
      .on('pointermove', () => {
        const event = d3.event;
        const round = x.invert(d3.clientPoint(svg.node(), event)[0]);
        const found = columns.findIndex(([, last]) => round <= last + 0.5);
        const c = found < 0 ? columns.length - 1 : found;
        tip.show(event, spanText(columns[c]), layers.slice().reverse().map(
          (layer) => [layer.tone, `${layer.name} ${yText(layer.values[c])}`]));
      })
      .on('pointerleave', tip.hide);
    return height + 40;
  };
  return figure({ points: layers.length * columns.length, details, draw, ...rest });
}

function rowHeight(count) {
  return count <= 20 ? 24 : count <= 50 ? 15 : 9;
}

function rowLabels(svg, rows, step, top) {
  const every = Math.ceil(14 / step);
  rows.forEach((row, r) => {
    if (r % every !== 0) return;
    svg.append('text').attr('class', 'label').attr('x', 0).attr('y', top + step * (r + 0.5)).attr('dy', '.35em').text(row);
  });
}

// matrixChart draws one cell per row and column of rounds: shares[row][column] in percent, or null.
function matrixChart({ rows, columns, shares, ...rest }) {
  const points = rows.length * columns.length;
  const draw = (svg, width) => {
    const left = d3.max(rows, (row) => row.length) * 6.6 + 10;
    const right = width - 6;
    const step = rowHeight(rows.length);
    const height = step * rows.length + 4;
    const x = d3.scaleLinear().domain([columns[0][0] - 0.5, columns[columns.length - 1][1] + 0.5]).range([left, right]);
    rowLabels(svg, rows, step, 4);
    shares.forEach((row, r) => {
      // Equal neighbours are one rectangle: a run without losses draws one per party.
      for (let begin = 0; begin < row.length;) {
        let end = begin;
        while (end + 1 < row.length && row[end + 1] === row[begin]) ++end;
        const share = row[begin];
        const from = x(columns[begin][0] - 0.5);
        svg.append('rect').attr('x', from).attr('width', Math.max(0.6, x(columns[end][1] + 0.5) - from))
          .attr('y', 4 + step * r + step * 0.1).attr('height', step * 0.8).attr('rx', Math.min(2, step / 6))
          .style('fill', share === null ? 'var(--faint)' : share === 0 ? 'var(--local)' : 'var(--party)')
          .style('opacity', share === null || share === 0 ? 1 : 0.25 + 0.75 * share / 100);
        begin = end + 1;
      }
    });
    roundAxis(svg, x, height, width, 'round');
    svg.append('rect').attr('class', 'hit').attr('x', left).attr('y', 4).attr('width', right - left).attr('height', height - 4)
      .on('pointermove', () => {
        const event = d3.event;
        const [px, py] = d3.clientPoint(svg.node(), event);
        const r = Math.min(rows.length - 1, Math.max(0, Math.floor((py - 4) / step)));
        const found = columns.findIndex(([, last]) => x.invert(px) <= last + 0.5);
        const c = found < 0 ? columns.length - 1 : found;
        const share = shares[r][c];
        tip.show(event, rows[r], [['party', spanText(columns[c])], [null, share === null ? 'no sum was opened'
          : share === 100 ? 'in the sum' : share === 0 ? 'not in the sum' : `in ${share} % of the sums`]]);
      })
      .on('pointerleave', tip.hide);
    return height + 40;
  };
  return figure({ points, draw, ...rest });
}

// barChart draws one bar per row, made of parts [{name, tone, values[]}], and a mark at `reference.value`.
function barChart({ rows, parts, text, reference, ...rest }) {
  const details = tableDetails(['', ...parts.map((part) => part.name)],
    () => rows.map((row, r) => [row, ...parts.map((part) => text(part.values[r]))]));
  const draw = (svg, width) => {
    const left = d3.max(rows, (row) => row.length) * 6.6 + 10;
    const step = rowHeight(rows.length);
    const room = step >= 15 ? 62 : 8;
    const top = reference ? 20 : 4;
    const sums = rows.map((_, r) => d3.sum(parts, (part) => part.values[r]));
    const x = d3.scaleLinear().domain([0, Math.max(d3.max(sums) || 1, reference ? reference.value : 0)]).range([left, width - room]);
    rowLabels(svg, rows, step, top);
    rows.forEach((row, r) => {
      const y = top + step * (r + 0.16);
      let below = 0;
      for (const part of parts) {
        svg.append('rect').attr('x', x(below)).attr('width', x(below + part.values[r]) - x(below)).attr('y', y)
          .attr('height', step * 0.68).style('fill', `var(--${part.tone})`);
        below += part.values[r];
      }
      if (step >= 15) {
        svg.append('text').attr('x', x(below) + 6).attr('y', y + step * 0.34).attr('dy', '.35em').text(text(below));
      }
      svg.append('rect').attr('class', 'hit').attr('x', 0).attr('width', width).attr('y', top + step * r).attr('height', step)
        .on('pointermove', () => tip.show(d3.event, row, parts.map((part) => [part.tone, `${part.name} ${text(part.values[r])}`])))
        .on('pointerleave', tip.hide);
    });
    const bottom = top + step * rows.length;
    if (reference) {
      const place = x(reference.value);
      svg.append('line').attr('class', 'reference').attr('x1', place).attr('x2', place).attr('y1', top - 3).attr('y2', bottom)
        .style('stroke', 'var(--ink)');
      svg.append('text').attr('x', place).attr('y', 11).attr('text-anchor', place > width / 2 ? 'end' : 'start').text(reference.name);
    }
    return bottom + 4;
  };
  return figure({ points: rows.length * parts.length, details, draw, ...rest });
}

// heatMap is the confusion matrix as a table whose cells are tinted by their share of the row.
function heatMap(names, counts) {
  const rows = counts.map((row, actual) => {
    const total = d3.sum(row);
    return make('tr', {}, make('th', { scope: 'row' }, names[actual]), row.map((count, predicted) => {
      const share = total === 0 ? 0 : (100 * count) / total;
      const right = actual === predicted;
      const cell = make('td', {
        class: `${right ? 'right' : ''} ${share > 55 ? 'strong' : ''}`,
        'aria-label': `${count} ${names[actual]} taken for ${names[predicted]}`,
        title: `${format.whole(count)} of ${format.whole(total)} ${names[actual]} rows were taken for ${names[predicted]}`,
      }, make('b', {}, format.short(count)), make('small', {}, count === 0 ? '0 %' : share < 0.05 ? '< 0.1 %' : format.percent(share / 100)));
      cell.style.setProperty('--share', Math.max(share, count > 0 ? 4 : 0).toFixed(1));
      return cell;
    }));
  });
  return make('table', { class: 'heat' },
    make('thead', {}, make('tr', {}, make('th', { scope: 'col' }, make('small', {}, 'was ↓ taken for →')),
      names.map((name) => make('th', { scope: 'col' }, name)))),
    make('tbody', {}, rows));
}
