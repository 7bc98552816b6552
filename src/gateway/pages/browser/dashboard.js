import { startLive } from './dashboard-live.js';
import { startState } from './dashboard-state.js';
import { byId, element, row, table } from './dom.js';
import { Refused, read, whenAdmitted } from './session.js';

/* The dashboard: what the hub says of itself, asked again every few seconds while anybody looks. */

const everyMs = 3_000;
const maxServices = 200;

const badge = (status) => element('span', { class: `badge ${status}` }, status);
const ago = (time) => {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1_000));
  if (seconds < 120) return `${seconds} s ago`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3_600)} h ago`;
};
const number = (value) => (value === null ? '?' : value.toLocaleString('en'));

const health = async () => {
  const { status, version, uptimeSec, node, log, projections } = await read('/health');
  byId('status').replaceChildren(badge(status));
  const facts = [
    ['version', version],
    ['up for', `${number(Math.round(uptimeSec))} s`],
    ['node', node],
    ['log', `${log.kind}${log.reachable ? '' : ', not reachable'}`],
    ['position', log.position ?? '?'],
  ];
  return [
    element('dl', {}, ...facts.flatMap(([term, text]) => [element('dt', {}, term), element('dd', {}, text)])),
    element('p', { class: 'quiet' }, log.durability.note),
    element('h3', {}, 'Read models, and how many events they are behind'),
    element(
      'ul',
      { class: 'chips' },
      ...projections.map(({ name, lagEvents, position }) =>
        element(
          'li',
          { class: lagEvents > 0 ? 'number warn' : 'number', title: position ?? '' },
          `${name} ${number(lagEvents)}`,
        ),
      ),
    ),
  ];
};

const circuitOf = ({ circuit }) =>
  circuit === null
    ? ''
    : element('span', { class: 'badge unhealthy', title: circuit.reason }, `open, ${ago(circuit.since)}`);

const services = async () => {
  const { services: list, cursor } = await read(`/services?limit=${maxServices}`);
  if (list.length === 0) return [element('p', { class: 'quiet' }, 'No service is registered.')];
  return [
    table(
      ['service', 'instance', 'version', 'status', 'circuit', 'in flight', 'address', 'seen'],
      list.map((service) =>
        row(
          service.name,
          element('code', {}, service.id),
          service.version,
          element('span', { title: service.statusReason }, badge(service.status)),
          circuitOf(service),
          element('span', { class: 'number' }, number(service.inFlight)),
          service.reach === 'socket' ? 'its WebSocket' : `${service.host}:${service.port}`,
          ago(service.lastSeenAt),
        ),
      ),
    ),
    cursor === undefined ? null : element('p', { class: 'quiet' }, `The first ${maxServices} are shown.`),
  ].filter((part) => part !== null);
};

const subscriptions = async () => {
  const { subscriptions: list } = await read('/subscriptions');
  if (list.length === 0) return [element('p', { class: 'quiet' }, 'There is no durable subscription.')];
  return [
    table(
      ['subscription', 'topic', 'status', 'lag', 'in flight', 'dead letters'],
      list.map(({ name, topic, status, lagEvents, inFlight, deadLetters }) =>
        row(
          name,
          element('code', {}, topic),
          badge(status),
          element('span', { class: 'number' }, number(lagEvents)),
          element('span', { class: 'number' }, number(inFlight)),
          element('span', { class: deadLetters > 0 ? 'number bad' : 'number' }, number(deadLetters)),
        ),
      ),
    ),
  ];
};

const plugins = async () => {
  const { plugins: list } = await read('/plugins');
  if (list.length === 0) return [element('p', { class: 'quiet' }, 'There is no plugin.')];
  return [
    table(
      ['plugin', 'version', 'status', 'why', 'calls', 'refused', 'p99'],
      list.map(({ name, version, status, statusReason, metrics, lastError }) =>
        row(
          name,
          version,
          badge(status),
          element('span', { title: lastError === undefined ? '' : lastError.reason }, statusReason),
          element('span', { class: 'number' }, number(metrics.calls)),
          element(
            'span',
            { class: 'number', title: Object.keys(metrics.refused).join(', ') },
            number(Object.values(metrics.refused).reduce((sum, count) => sum + count, 0)),
          ),
          metrics.p99Ms === null ? '' : `${metrics.p99Ms} ms`,
        ),
      ),
    ),
  ];
};

const sections = { health, services, subscriptions, plugins };

/** Fills a section; what the token may not read is said there. @throws {Refused} 401. */
const fill = async (name, load) => {
  const target = byId(name);
  try {
    target.replaceChildren(...(await load()));
  } catch (error) {
    if (error instanceof Refused && error.status === 401) throw error;
    const text =
      error instanceof Refused && error.scope !== ''
        ? `The token lacks the scope ${error.scope}.`
        : error instanceof Refused
          ? error.message
          : 'The hub cannot be reached.';
    target.replaceChildren(element('p', { class: 'quiet' }, text));
    if (name === 'health') byId('status').replaceChildren(badge('down'));
  }
};

const refresh = () => Promise.all(Object.entries(sections).map(([name, load]) => fill(name, load)));

let begun = false;
await whenAdmitted(async () => {
  await refresh();
  byId('main').hidden = false;
  if (begun) return;
  begun = true;
  startState();
  startLive();
  const again = async () => {
    // Whoever does not look asks for nothing.
    if (!document.hidden) await refresh().catch(() => location.reload());
    setTimeout(again, everyMs);
  };
  setTimeout(again, everyMs);
});
