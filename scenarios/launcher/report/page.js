// The page of report.html: it writes what the view (report_view.cpp) says into the sections of page.html. A section
// that has nothing to say stays hidden.
'use strict';

const view = JSON.parse(document.getElementById('records').textContent);

const runNames = {
  centralized: { name: 'Centralized', tone: 'centralized', dash: '5 4', about: 'all rows in one place, nothing protected' },
  local: { name: 'Each party alone', tone: 'local', about: 'nothing shared; mean over the parties' },
  federated_float: { name: 'Federated, floats', tone: 'federated-float', about: 'plain floating-point gradients' },
  federated_integer: { name: 'Federated, integers', tone: 'federated-integer', dash: '9 5', width: 4, about: 'quantised, not encrypted' },
  federated_encrypted: { name: 'Federated, encrypted', tone: 'federated-encrypted', about: 'quantised, under Paillier' },
};
const hasSchema = Boolean(view.settings && view.settings.data.schema.columns.length > 0);
const costName = hasSchema ? 'Cost' : 'Contest cost';
const metrics = [
  { key: 'accuracy', title: 'Accuracy', tick: '.0%', text: format.exact_percent },
  { key: 'macro_f1', title: 'Macro-F1', tick: '.2f', text: format.metric },
  { key: 'cost', title: costName, tick: '.2f', text: format.metric },
];
const phaseNames = {
  train: ['train', 'party'], encode: ['encode', 'party-3'], encrypt: ['encrypt', 'party-2'], prepare: ['obfuscators made ahead', 'party-4'],
  aggregate: ['aggregate', 'coordinator'], decrypt: ['decrypt', 'key-holder'], step: ['step', 'key-holder-3'], store: ['journal and checkpoint', 'soft'],
  evaluate: ['evaluate', 'key-holder-2'],
};

const at = (id) => document.getElementById(id);
const show = (id) => { at(id).hidden = false; };
const bold = (text) => make('b', {}, text);
const plural = (count, one, many) => `${format.whole(count)} ${count === 1 ? one : many}`;
const recallOf = (recall, c) => (Array.isArray(recall) ? recall[c] : recall[classNames[c]]);

const runs = view.runs.map((run) => ({ ...run, ...(runNames[run.name] || { name: run.name, tone: 'soft' }), key: run.name }));
const main = runs[runs.length - 1];
const summary = main ? main.summary : {};
const classNames = view.classes || summary.classes || [];
const settings = view.settings || {};
const isEncrypted = settings.cipher === 'paillier';
const isComparison = view.kind === 'compare';
const detail = view.detail || null;
// Rounds that were done: a run may stop before those of the scenario. Folders of older versions do not say.
const roundsDone = (run) => run.rounds_done ?? run.rounds;
const isSynthetic = /synthetic/.test(summary.data || '');

// ---- Head ----

function notice(kind, title, text) {
  at('notices').append(make('p', { class: `notice ${kind}`, role: 'note' }, bold(title), text));
}

// workText says what a party does in a round.
function workText() {
  const { batch_rows: rows, steps, epochs } = settings.local;
  if (settings.algorithm === 'fedsgd') return `${format.whole(rows)} rows a party and round`;
  return epochs > 0 ? `${plural(epochs, 'pass', 'passes')} over its shard a party and round, ${format.whole(rows)} rows a step`
    : `${plural(steps, 'step', 'steps')} of ${format.whole(rows)} rows a party and round`;
}

// roundsText says of how many rounds a run did how many.
function roundsText() {
  const done = roundsDone(summary);
  return summary.status !== 'done' || done === settings.rounds ? `${format.whole(settings.rounds)} rounds`
    : `${format.whole(done)} of ${format.whole(settings.rounds)} rounds (stopped early)`;
}

function writeHead() {
  at('kind').textContent = isComparison ? '· comparison' : '· run';
  if (isSynthetic) {
    notice('', 'Synthetic data', 'The records were made by Blindsum’s own generator. '
      + 'The figures say nothing about the real data set.');
  }
  if (!isEncrypted && !isComparison && view.settings) {
    notice('bad loud', 'NOT ENCRYPTED', 'cipher: none sends every update in the clear, for comparison. Nothing on this page was protected.');
  }
  for (const run of runs) {
    const status = run.summary.status;
    if (status === 'done') continue;
    notice('bad', `${run.name}: ${String(status).replace(/_/g, ' ')}`, run.summary.reason || 'no reason was recorded');
  }
  if (view.identical === false) {
    notice('bad', 'The encrypted run differs from the integer run', view.first_difference === null || view.first_difference === undefined
      ? 'They ended in different models.' : `Round ${view.first_difference} is the first whose model differs.`);
  }

  const quality = summary.final;
  const parties = settings.parties || summary.parties;
  at('headline').textContent = isComparison
    ? `${view.title}: one training, ${plural(runs.length, 'way', 'ways')}`
    : quality
      ? `${plural(parties, 'party', 'parties')} trained one intrusion detector${isEncrypted ? ' on encrypted gradients' : ''}`
      : `${view.title}: no model came out`;
  const lede = at('lede');
  if (view.settings) {
    const partition = settings.data.partition;
    const kind = { iid: 'alike shards', dirichlet: `label-skewed shards, Dirichlet(${partition.alpha})`, by_attack: 'each attack type at one or two parties only' }[partition.kind] || partition.kind;
    lede.append('Scenario ', bold(view.title), `: ${roundsText()} of ${settings.algorithm}, ${kind}, `
      + `${workText()}. `);
    if (isEncrypted) {
      lede.append('Protection: ', bold(`Paillier, ${settings.paillier.key_bits}-bit keys`),
        ` (${settings.paillier.key_bits < 3072 ? '112' : '128'}-bit security), randomizer ${settings.paillier.randomizer}: the coordinator added what it could not open.`);
    }
  }
  const tiles = at('tiles');
  const tile = (name, value, unit, sub, kind) => tiles.append(make('div', { class: kind || null }, make('dt', {}, name),
    make('dd', { class: 'value' }, value, unit ? make('small', {}, ` ${unit}`) : null), sub ? make('dd', { class: 'sub' }, sub) : null));
  if (quality) {
    tile('Accuracy', (100 * quality.accuracy).toFixed(2), '%', `round ${format.whole(quality.round ?? roundsDone(summary))}, whole test set`);
    tile('Macro-F1', quality.macro_f1.toFixed(3), null, `${classNames.length} classes count alike`);
    tile(costName, quality.cost.toFixed(4), null, 'lower is better');
  }
  if (view.identical !== undefined) {
    tile('Encrypted against integers', view.identical ? 'identical' : 'DIFFERENT', null,
      view.identical ? 'same model, bit for bit' : 'see above', view.identical ? null : 'bad');
  } else if (view.settings) {
    tile('Protection', isEncrypted ? `${settings.paillier.key_bits} bit` : 'none', null,
      isEncrypted ? `Paillier, ${settings.paillier.randomizer}` : 'NOT ENCRYPTED', isEncrypted ? null : 'bad');
  }
  if (summary.train_s) {
    tile('Training', format.seconds(summary.train_s), null,
      `${format.seconds(summary.train_s / Math.max(1, roundsDone(summary)))} a round, ${format.seconds(summary.wall_s)} in all`);
  }
  if (detail && summary.bytes_up) {
    const float32 = 4 * detail.parameters * (summary.updates_sent ?? parties * roundsDone(summary));
    tile('A party sent', format.bytes(summary.bytes_up / parties), null,
      float32 > 0 ? `${(summary.bytes_up / float32).toFixed(1)} × float32` : null);
  }
}

// ---- Comparison ----

const spread = (run, key, text) => {
  const mean = view.mean && view.mean[run.key] && view.mean[run.key][key];
  const deviation = view.deviation && view.deviation[run.key] && view.deviation[run.key][key];
  const seeds = (view.seeds || []).length;
  if (seeds > 1 && mean !== undefined) return [text(mean), make('small', {}, ` ± ${text(deviation)}`)];
  return run.summary.final ? text(run.summary.final[key]) : '–';
};

function writeComparison() {
  if (!isComparison) return;
  show('comparison');
  const verdict = at('verdict');
  if (view.identical) {
    verdict.append(bold('The encrypted run equals the integer run bit for bit'), ': encryption cost time and bytes, and not one digit of the model.');
  } else if (view.identical === false) {
    verdict.append(bold('The encrypted run differs from the integer run.'));
  } else {
    verdict.append('The comparison did not come to its end: this is what there is.');
  }
  const rows = runs.map((run) => ({
    class: run.key === 'federated_encrypted' ? 'best' : null,
    cells: [
      { text: [swatch(run.tone), make('span', {}, run.name)], title: run.about },
      ...metrics.map((metric) => ({ text: spread(run, metric.key, metric.text) })),
      run.summary.train_s && roundsDone(run.summary) ? format.seconds(run.summary.train_s / roundsDone(run.summary)) : '–',
      run.summary.bytes_up ? format.bytes(run.summary.bytes_up / run.summary.parties) : '–',
      { text: make('span', { class: 'mono' }, run.summary.model_digest ? String(run.summary.model_digest).slice(7, 19) : '–') },
    ],
  }));
  const sanity = view.sanity || {};
  for (const [key, name] of [['study_network', 'The study’s network'], ['majority_class', 'Majority class'], ['decision_stump', 'Decision stump']]) {
    if (!sanity[key]) continue;
    rows.push({ class: 'muted', cells: [{ text: name, title: sanity[key].rule }, ...metrics.map((metric) => metric.text(sanity[key][metric.key])), '–', '–', '–'] });
  }
  at('runs-table').append(table(['Run', ...metrics.map((metric) => metric.title), 'A round', 'A party sent', 'Model'], rows));
  const notes = [];
  if ((view.seeds || []).length > 1) notes.push(`Mean ± deviation over the seeds ${view.seeds.join(', ')}; charts and details are of the first.`);
  if (sanity.decision_stump && sanity.decision_stump.rule) notes.push(`Stump: ${sanity.decision_stump.rule}.`);
  at('runs-note').textContent = notes.join(' ');
  writePairs();
  writeMinimumCost();
  writeQuantisation();
}

// writePairs sets runs side by side, seed by seed.
function writePairs() {
  if (!view.paired || view.paired.length === 0) return;
  const nameOf = (key) => (runNames[key] || { name: key }).name;
  const cell = (pair, metric) => {
    const { difference, standard_error: error, higher, p } = pair[metric.key];
    return `${difference > 0 ? '+' : ''}${metric.text(difference)} ± ${metric.text(error)} (${higher} of ${pair.seeds} higher${
      p === null || p === undefined ? '' : `, p ${p.toFixed(3)}`})`;
  };
  at('runs-more').append(make('div', { class: 'scroll', id: 'pairs-table' }, table(
    ['Difference, seed by seed', 'against', ...metrics.map((metric) => metric.title)],
    view.paired.map((pair) => [nameOf(pair.run), { class: 'text', text: nameOf(pair.against) }, ...metrics.map((metric) => cell(pair, metric))]))),
  make('p', { class: 'note' }, 'Mean ± standard error over the seeds; p: exact two-sided sign-flip test, which cannot be below 2^(1 − seeds).'));
}

// writeMinimumCost shows what the same models are worth when the class with the least expected cost is taken.
function writeMinimumCost() {
  const judged = Object.entries(view.minimum_cost || {}).filter(([, seeds]) => seeds.length > 0);
  if (judged.length === 0) return;
  at('runs-more').append(make('div', { class: 'scroll', id: 'minimum-cost-table' }, table(
    ['By the minimum-cost rule', ...metrics.map((metric) => metric.title)],
    judged.map(([key, seeds]) => [(runNames[key] || { name: key }).name, ...metrics.map((metric) => metric.text(d3.mean(seeds, (seed) => seed[metric.key])))]))),
  make('p', { class: 'note' }, 'The same models, but a record is given the class with the least expected contest cost instead of the likeliest.'));
}

// writeQuantisation says what whole numbers instead of floating point change.
function writeQuantisation() {
  const seeds = view.quantisation || [];
  if (seeds.length === 0) return;
  const differing = d3.sum(seeds, (seed) => seed.predictions_differ);
  const records = d3.sum(seeds, (seed) => seed.records);
  at('runs-more').append(make('p', { class: 'note', id: 'quantisation' }, `Quantisation: ${seeds[0].bits} bits a value change ${format.whole(differing)} of `
    + `${format.whole(records)} predictions (${((100 * differing) / records).toFixed(3)} %) of the federation in floating point.`));
}

// ---- Quality ----

function writeQuality() {
  const drawn = runs.filter((run) => run.series.rounds.length > 0);
  if (drawn.length === 0) return;
  show('quality');
  if (drawn.length > 1) {
    at('quality-legend').append(...drawn.map((run) => make('span', { title: run.about },
      swatch(run.tone, run.dash ? 'line dashed' : 'line'), run.name)));
  }
  for (const metric of metrics) {
    const series = drawn.map((run) => ({
      name: run.name, tone: run.tone, dash: run.dash, width: run.width, x: run.series.rounds, y: run.series[metric.key],
      low: run.series.low && run.series.low[metric.key], high: run.series.high && run.series.high[metric.key],
    }));
    at('quality-charts').append(lineChart({
      id: `chart-${metric.key}`, series, title: metric.title, label: `${metric.title} after each round`,
      now: main.summary.final ? metric.text(main.summary.final[metric.key]) : null,
      yTick: d3.format(metric.tick), yText: metric.text,
    }));
  }
  const spent = drawn.filter((run) => run.series.epsilon && run.series.epsilon.length === run.series.rounds.length);
  if (spent.length > 0) {
    const { delta } = settings.privacy;
    at('quality-charts').append(lineChart({
      id: 'chart-epsilon', title: 'Privacy spent, ε', label: `ε at δ = ${delta} after each round`, fromZero: true,
      series: spent.map((run) => ({ name: run.name, tone: run.tone, dash: run.dash, x: run.series.rounds, y: run.series.epsilon })),
      now: d3.format('.3')(d3.max(spent, (run) => d3.max(run.series.epsilon))), yTick: d3.format('.2~'), yText: d3.format('.3'),
    }));
  }
  const thinned = drawn.filter((run) => run.series.evaluations > run.series.rounds.length);
  if (thinned.length > 0) {
    at('quality-charts').after(make('p', { class: 'note' }, `Drawn are ${format.whole(thinned[0].series.rounds.length)} of `
      + `${format.whole(thinned[0].series.evaluations)} evaluations; the last is always one of them.`));
  }
  if (summary.confusion) {
    const cells = d3.sum(summary.confusion, (row) => row.length);
    at('quality-classes').append(make('figure', { id: 'chart-confusion', class: 'chart', 'data-points': cells },
      make('figcaption', {}, make('h3', {}, 'What was taken for what'),
        make('p', {}, `A row is a true class, a column what its records were taken for; ${main.name.toLowerCase()}, last round.`)),
      heatMap(classNames, summary.confusion)));
  }
  const judged = drawn.filter((run) => run.summary.final && run.summary.final.recall);
  if (judged.length > 0) {
    at('quality-classes').append(dotChart({
      id: 'chart-recall', title: 'Recall by class', label: 'Share of each class that was found',
      note: 'Share of each class’s test rows that were given it.', rows: classNames,
      series: judged.map((run) => ({ name: run.name, tone: run.tone, values: classNames.map((_, c) => recallOf(run.summary.final.recall, c)) })),
    }));
  }
}

// writeZeroDay says how the model meets an attack that hardly anybody has trained on.
function writeZeroDay() {
  const zeroDay = summary.zero_day;
  if (!zeroDay) return;
  const share = (count) => format.exact_percent(count / zeroDay.test_rows);
  at('quality-zero-day').append(make('p', { class: 'note', id: 'zero-day' }, bold(`Zero-day attack ${zeroDay.attack}`),
    `, which ${zeroDay.known_to === 'nobody' ? 'nobody' : `only ${roleName(zeroDay.known_to)}`} had to train on: `,
    zeroDay.test_rows === 0 ? 'the test set has none of it.'
      : `of its ${format.whole(zeroDay.test_rows)} test records ${share(zeroDay.taken_for_an_attack)} were taken for an attack, ${
        share(zeroDay.taken_for_its_class)} for its class.`));
}

// ---- Gains ----

function writeGains() {
  if (!view.gains || view.gains.rows.length === 0) return;
  show('gains');
  const { rows, parties } = view.gains;
  at('gains-intro').append('Recall of each class on the whole test set: trained alone on the own shard → trained together, encrypted. ',
    make('span', { class: 'tag' }, 'unseen'), ' marks classes of which the party had not one row.',
    rows.length < parties ? ` Shown are the ${rows.length} of ${format.whole(parties)} parties that gained most.` : '');
  const cell = (row, name, c) => {
    const gain = row.federated[c] - row.alone[c];
    const unseen = (row.unseen_classes || []).includes(name);
    return {
      class: unseen ? 'unseen' : null,
      text: [`${(100 * row.alone[c]).toFixed(1)} → `, make('span', { class: gain >= 0.005 ? 'up' : gain <= -0.005 ? 'down' : null }, (100 * row.federated[c]).toFixed(1)),
        unseen ? make('small', {}, ' unseen') : null].filter(Boolean),
    };
  };
  at('gains-table').append(table(['Party', ...classNames.map((name) => `${name}, %`)],
    rows.map((row) => [`party ${row.party}`, ...classNames.map((name, c) => cell(row, name, c))])));
  const attacks = rows.flatMap((row) => (row.unseen_attacks || []).map((attack) => ({ party: row.party, ...attack })));
  if (attacks.length > 0) {
    const mean = (key) => d3.sum(attacks, (attack) => attack[key] * attack.test_rows) / d3.sum(attacks, (attack) => attack.test_rows);
    at('gains-attacks').append(make('p', { class: 'note' }, `Attack types that a party had never seen, but another had: alone it recognised the class of `
      + `${format.exact_percent(mean('alone'))} of their test rows, with the common model of ${format.exact_percent(mean('federated'))}.`),
    tableDetails(['Attack', 'Class', 'Party', 'Test rows', 'Alone', 'Together'],
      () => attacks.map((attack) => [attack.attack, attack.class, `party ${attack.party}`, format.whole(attack.test_rows),
        format.exact_percent(attack.alone), format.exact_percent(attack.federated)]), `Show the ${format.whole(attacks.length)} pairs of party and unseen attack`));
  }
}

// ---- Events ----

const eventKinds = {
  done: { name: 'done on purpose, as the scenario says', tone: 'coordinator', shape: d3.symbolTriangle },
  noticed: { name: 'noticed', tone: 'bad', shape: d3.symbolDiamond },
  healed: { name: 'over, or made good', tone: 'federated-encrypted', shape: d3.symbolCircle },
};
const kindOfEvent = {
  fault_injected: 'done', fault_ended: 'healed', party_returned: 'healed', role_restarted: 'healed', run_resumed: 'healed',
};

const roleName = (role) => ({ keyholder: 'key-holder', launcher: 'run' }[role] || role.replace('party-', 'party '));

function writeEvents() {
  if (!detail || !detail.events || detail.events.count === 0) return;
  show('events');
  const marks = detail.events.shown.map((event) => ({
    row: roleName(event.role), round: event.round, kind: kindOfEvent[event.event] || 'noticed', event: event.event.replace(/_/g, ' '),
    text: event.detail, at: event.at.slice(11, 23),
  }));
  const count = (kind) => marks.filter((mark) => mark.kind === kind).length;
  at('events-intro').append(`${plural(detail.events.count, 'event', 'events')} beside the ordinary course of the rounds: `
    + `${format.whole(count('done'))} done on purpose, ${format.whole(count('noticed'))} noticed, ${format.whole(count('healed'))} over or made good.`,
  detail.events.count > marks.length ? ` Shown are the first ${format.whole(marks.length)}.` : '');
  const kinds = Object.entries(eventKinds).filter(([kind]) => count(kind) > 0);
  at('events-legend').append(...kinds.map(([, kind]) => make('span', {}, swatch(kind.tone), kind.name)));
  // The run itself first, then coordinator, key-holder, and parties by number.
  const rank = (row) => ['run', 'coordinator', 'key-holder'].indexOf(row);
  const number = (row) => (rank(row) >= 0 ? rank(row) - 3 : Number(row.slice(6)));
  const rows = [...new Set(marks.map((mark) => mark.row))].sort((a, b) => number(a) - number(b));
  at('events-charts').append(eventChart({
    id: 'chart-events', title: 'By round', label: 'Events by role and round', rows, rounds: settings.rounds, kinds: eventKinds, marks,
  }));
}

// ---- Roles ----

function writeRoles() {
  if (!detail || detail.columns.length === 0) return;
  show('roles');
  const { party, coordinator, keyholder } = detail.roles;
  const intro = at('roles-intro');
  const proof = summary.encryption_proof;
  if (isEncrypted && proof && proof.verdict === 'failed') {
    intro.append(bold('The proof of encryption failed'), ': what is said here is how it should have been. ', proof.reason || '');
  } else if (isEncrypted) {
    intro.append('Bytes are from the records of this run. ', bold('The coordinator handled only ciphertexts'), ', and the key-holder opened only sums of at least ',
      bold(`${view.quorum} parties`), '.');
  } else {
    intro.append(bold('Nothing was encrypted in this run.'), ' The same integers went the same way, readable by every role that carried them.');
  }
  const role = (tone, name, count, saw, never, leak) => make('div', { class: 'card role', tone },
    make('h3', {}, name, make('small', {}, count)),
    make('div', {}, make('h4', {}, 'saw'), make('ul', { class: 'saw' }, saw.map((text) => make('li', {}, text)))),
    leak.length > 0 ? make('div', {}, make('h4', {}, 'saw, unprotected'), make('ul', { class: 'leak' }, leak.map((text) => make('li', {}, text)))) : null,
    never.length > 0 ? make('div', {}, make('h4', {}, 'could not see'), make('ul', { class: 'never' }, never.map((text) => make('li', {}, text)))) : null);
  const arrow = (bytes, text) => make('div', { class: 'arrow' }, make('b', {}, format.bytes(bytes)), make('i', { 'aria-hidden': 'true' }), text);
  const sealed = isEncrypted ? 'encrypted updates' : 'updates in the clear';
  at('roles-flow').append(make('div', { class: 'flow' },
    role('party', 'Parties', `× ${format.whole(settings.parties)}`,
      ['its own shard', 'the common weights of every round', 'the joint statistics of all rows'],
      ['another party’s records, update, row count or labels', 'any secret key but its own transport key'], []),
    arrow(party.bytes_out, sealed),
    role('coordinator', 'Coordinator', null,
      ['who sent how much, and when', isEncrypted ? `${format.bytes(coordinator.bytes_in)} of ciphertexts` : `${format.bytes(coordinator.bytes_in)} of updates`],
      isEncrypted ? ['any update, alone or summed', 'weights, records, the secret key'] : ['weights, records'],
      isEncrypted ? [] : ['every party’s update, value by value']),
    arrow(coordinator.bytes_out, isEncrypted ? 'one encrypted sum a round' : 'one sum a round'),
    role('key-holder', 'Key-holder', null,
      [`${plural(detail.parties.opened, 'opened sum', 'opened sums')}, ${format.bytes(keyholder.bytes_in)}`, 'who contributed', 'the weights'],
      ['one party’s update or row count', 'records of any party'], []),
    make('div', { class: 'back' }, bold(format.bytes(keyholder.bytes_out)), 'new weights, and once the joint statistics, to every party')));
  if (proof) writeProof(proof);
  at('roles-limits').append(make('p', { class: 'note' }, 'Not protected against: key-holder and coordinator acting together; what the sums and the weights themselves reveal; '
    + 'a party that sends plausible lies; sizes and times on the network; a compromised host. This simulator’s launcher cuts the shards and makes the keys: it sees everything.'));
}

// writeProof says what the examination of the recorded traffic came to.
function writeProof(proof) {
  const text = proof.verdict === 'not checked' ? proof.reason
    : `${plural(proof.messages, 'message', 'messages')} (${format.bytes(proof.bytes)}) that the coordinator received or sent were examined after the run.`
      + (proof.messages_not_recorded > 0 ? ` ${plural(proof.messages_not_recorded, 'message was', 'messages were')} not recorded.` : '');
  at('roles-proof').append(make('p', { class: proof.verdict === 'failed' ? 'notice bad' : 'note' }, bold(`Proof of encryption: ${proof.verdict}. `), text));
  if (proof.checks.length === 0) return;
  at('roles-proof').append(tableDetails(['Check', 'Verdict', 'Count', 'Looked at', 'Remarks'],
    () => proof.checks.map((check) => [check.name.replace(/_/g, ' '), { class: 'text', text: check.verdict }, format.whole(check.count),
      { class: 'text', text: check.looked_at }, { class: 'text', text: check.detail || '' }]), 'What was checked'));
}

// ---- Time and bytes ----

function writeTime() {
  if (!detail || detail.columns.length === 0 || detail.phases.length === 0) return;
  show('time');
  at('time-intro').append('Wall time of each phase in the role that took longest, stacked. Roles work side by side: the stack may be higher than the round was long.',
    detail.rounds_joined > 1 ? ` A column is the mean of ${detail.rounds_joined} rounds.` : '', isComparison ? ` Shown is: ${main.name.toLowerCase()}.` : '');
  const layers = detail.phases.map((phase) => ({
    name: (phaseNames[phase.phase] || [phase.phase])[0], tone: (phaseNames[phase.phase] || [null, 'soft'])[1], values: phase.seconds, total: phase.total,
  }));
  at('time-charts').append(make('div', { class: 'legend' }, layers.map((layer) => make('span', {}, swatch(layer.tone), layer.name,
    make('small', {}, format.seconds(layer.total))))),
  stackChart({ id: 'chart-phases', columns: detail.columns, layers, title: 'Seconds a round, by phase', label: 'Time per phase in each round', yText: format.seconds }));
}

function writeBytes() {
  if (!detail || detail.columns.length === 0) return;
  show('bytes');
  const float32 = 4 * detail.parameters;
  at('bytes-intro').append(`A gradient of ${format.whole(detail.parameters)} values takes ${format.bytes(float32)} as float32. `,
    'Drawn is what a party sent and received in each round', detail.rounds_joined > 1 ? `, mean of ${detail.rounds_joined} rounds` : '', '; round 0 carries statistics.');
  const x = detail.columns.map((column) => column[0]);
  for (const [key, title, tone] of [['up', 'A party sends', 'party'], ['down', 'A party receives', 'key-holder']]) {
    const bytes = detail[key];
    at('bytes-charts').append(lineChart({
      id: `chart-bytes-${key}`, title, label: `${title}, bytes a round`, fromZero: true, height: 170,
      now: format.bytes(bytes.mean[bytes.mean.length - 1]),
      series: [{ name: 'mean of the parties', tone, x, y: bytes.mean, low: bytes.least, high: bytes.most }],
      yTick: format.bytes, yText: format.bytes, reference: { value: float32, name: 'float32' },
    }));
  }
}

// ---- Parties ----

function writeParties() {
  if (!detail || detail.columns.length === 0 || detail.parties.rows.length === 0) return;
  show('parties');
  const { rows, joined, opened } = detail.parties;
  const names = rows.map((row) => (row.first === row.last ? `party ${row.first}` : `parties ${row.first}–${row.last}`));
  const everywhere = opened > 0 && rows.every((row) => row.rounds === opened);
  at('parties-intro').append(everywhere ? `Every party was in every one of the ${format.whole(opened)} sums that were opened.`
    : `${plural(opened, 'sum was', 'sums were')} opened. A gap is a sum without that party; the quorum is ${view.quorum}.`,
  joined > 1 ? ` Parties are joined in groups of ${joined}; numbers are means per party.` : '');
  at('parties-charts').append(matrixChart({
    id: 'chart-contributors', rows: names, columns: detail.columns, shares: rows.map((row) => row.shares), title: 'In the sum',
    label: 'Which party is in which round’s sum',
  }));
  const clipped = rows.map((row) => row.clipped);
  if (d3.sum(clipped) > 0) {
    at('parties-charts').append(barChart({
      id: 'chart-clipped', title: 'Clipped gradient values', label: 'Clipped values by party',
      note: `Values beyond ± ${settings.fixed_point.clip} were cut before they were encrypted.`, rows: names,
      parts: [{ name: 'clipped', tone: 'party', values: clipped }], text: format.count,
    }));
    const layers = summary.clipped_by_layer || [];
    if (layers.length > 0) {
      at('parties-charts').append(make('p', { class: 'note', id: 'clipped-layers' },
        `By layer of the network, the first one first: ${layers.map(format.whole).join(', ')}.`));
    }
  } else {
    at('parties-charts').append(make('p', { class: 'note', id: 'no-clipped' }, `No gradient value was clipped at ± ${settings.fixed_point.clip}.`));
  }
}

// writeShards draws what each party was given. Parties are joined as in the other charts.
const classTones = ['party-3', 'local', 'coordinator', 'key-holder', 'ink'];  // over again from the sixth class on
function writeShards() {
  const shards = view.manifest && view.manifest.shards;
  if (!shards || shards.class_rows.length === 0) return;
  show('parties');
  const joined = Math.ceil(shards.class_rows.length / 40);
  const groups = d3.range(0, shards.class_rows.length, joined).map((first) => {
    const members = shards.class_rows.slice(first, first + joined);
    return { first, last: first + members.length - 1, rows: classNames.map((_, c) => d3.sum(members, (rows) => rows[c])) };
  });
  at('shards-legend').append(...classNames.map((name, c) => make('span', {}, swatch(classTones[c % classTones.length]), name)));
  at('shards-charts').append(barChart({
    id: 'chart-shards', title: 'What each party was given', label: 'Share of the classes in each shard',
    note: 'Per cent of the rows of a shard, by class. Only the simulator sees this: in a federation nobody does.',
    rows: groups.map((group) => `${group.first === group.last ? `party ${group.first}` : `parties ${group.first}–${group.last}`}, ${
      format.whole(d3.sum(group.rows))} rows`),
    parts: classNames.map((name, c) => ({
      name, tone: classTones[c % classTones.length], values: groups.map((group) => 100 * group.rows[c] / d3.sum(group.rows)),
    })),
    text: (share) => `${share < 0.1 && share > 0 ? share.toPrecision(1) : share.toFixed(share < 99.95 ? 1 : 0)} %`,
  }));
}

// ---- Record ----

function facts(title, pairs) {
  const known = pairs.filter(([, value]) => value !== undefined && value !== null && value !== '');
  return make('div', { class: 'card' }, make('h3', {}, title), make('dl', { class: 'facts' },
    known.flatMap(([name, value, kind]) => [make('dt', {}, name), make('dd', { class: kind }, String(value))])));
}

function writeRecord() {
  show('record');
  const manifest = view.manifest || {};
  const data = manifest.data || {};
  const machine = manifest.machine || {};
  at('record-lists').append(
    facts('Fingerprints', [['Model', summary.model_digest, 'mono'], ['Key', manifest.key_id, 'mono'], ['Codec', manifest.codec_id, 'mono'],
      ['Run', manifest.run, 'mono'], ['Training data', data.train && data.train.sha256, 'mono'], ['Test data', data.test && data.test.sha256, 'mono']]),
    facts('Made with', [['Started', manifest.started], ['Seed', summary.seed], ['Data', summary.data], ['Arithmetic', summary.kernel],
      ['Rests on', manifest.randomizer && manifest.randomizer.assumption], ['Processor', machine.cpu],
      ['Processors', machine.processors], ['Memory', machine.memory_mib && format.bytes(machine.memory_mib * 1048576)], ['System', machine.os],
      ['Largest process', summary.peak_rss_mib && `${Math.round(summary.peak_rss_mib)} MiB, shared tables included`],
      ['A party’s own', summary.party_private_mib && `${Math.round(summary.party_private_mib)} MiB`],
      ['Blindsum', manifest.build && manifest.build.blindsum]]));
  const more = at('record-details');
  const named = detail && detail.endings && detail.endings.named;
  if (named && named.length > 0) {
    more.append(tableDetails(['Role', 'Ended', 'Bytes in', 'Bytes out', 'Refused messages', 'Why'],
      () => named.map((end) => [end.name, end.status, end.bytes_in === undefined ? '–' : format.bytes(end.bytes_in),
        end.bytes_out === undefined ? '–' : format.bytes(end.bytes_out), end.rejected ?? '–', { class: 'text', text: end.reason || '' }])
        .concat(detail.endings.done > 0 ? [[plural(detail.endings.done, 'party', 'parties'), 'done', '–', '–', format.whole(detail.endings.rejected), '']] : []),
      'How the roles ended'));
  }
  if (view.scenario) more.append(make('details', {}, make('summary', {}, 'The scenario, every key'), make('pre', { class: 'card', tabindex: '0' }, view.scenario)));
  if (manifest.build && manifest.build.libraries) {
    more.append(make('details', {}, make('summary', {}, 'Libraries'), make('p', { class: 'mono' }, manifest.build.libraries.join(' · '))));
  }
}

function writeFoot() {
  const library = document.scripts[1].textContent;
  const licences = [...new Set(library.match(/\/\/ https:\/\/[^\n]*/g) || [])].map((line) => line.slice(3));
  at('footer').append(make('p', {}, `Written by Blindsum ${view.version} on ${view.written} from the records in ${view.folder}. `
    + 'The page holds everything it shows and asks nothing of any network.'),
  make('details', {}, make('summary', {}, 'Charts: D3 (BSD 3-clause)'), make('pre', {},
    `${licences.join('\n')}\nAll rights reserved.\n\n`
    + 'Redistribution and use in source and binary forms, with or without modification, are permitted provided that the following conditions '
    + 'are met:\n\n* Redistributions of source code must retain the above copyright notice, this list of conditions and the following '
    + 'disclaimer.\n\n* Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following '
    + 'disclaimer in the documentation and/or other materials provided with the distribution.\n\n* Neither the name of the author nor the '
    + 'names of contributors may be used to endorse or promote products derived from this software without specific prior written permission.'
    + '\n\nTHIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT '
    + 'NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE '
    + 'COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES '
    + '(INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) '
    + 'HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) '
    + 'ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.')));
}

writeHead();
writeComparison();
writeQuality();
writeZeroDay();
writeGains();
writeEvents();
writeRoles();
writeTime();
writeBytes();
writeParties();
writeShards();
writeRecord();
writeFoot();
for (const section of document.querySelectorAll('main section:not([hidden])')) {
  at('contents').append(make('a', { href: `#${section.id}` }, section.querySelector('h2').textContent));
}
document.documentElement.dataset.ready = 'true';
