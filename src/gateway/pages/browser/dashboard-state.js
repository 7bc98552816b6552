import { byId, element, row, shownJson, table } from './dom.js';
import { Refused, read } from './session.js';

/* State keys by prefix, a page at a time; one key with its versions. */

const pageSize = 50;
const maxShown = 80;

const short = (value) => {
  const text = JSON.stringify(value);
  return text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
};

const tellFault = (target, error) =>
  target.replaceChildren(
    element('p', { class: 'quiet' }, error instanceof Refused ? error.message : 'The hub cannot be reached.'),
  );

const pathOf = (key) => `/state/${encodeURIComponent(key)}`;

const showKey = async (key) => {
  const target = byId('state-key');
  try {
    const [entry, { history }] = await Promise.all([
      read(pathOf(key)),
      read(`${pathOf(key)}/history?limit=20`),
    ]);
    target.replaceChildren(
      element('h3', {}, element('code', {}, key), ` version ${entry.version}`),
      element('p', { class: 'quiet' }, `by ${entry.updatedBy}, ${entry.updatedAt}`),
      shownJson(entry.value),
      table(
        ['version', 'when', 'by', 'value'],
        history.map((past) =>
          row(past.version, past.updatedAt, past.updatedBy, past.deleted ? 'deleted' : short(past.value)),
        ),
      ),
    );
  } catch (error) {
    tellFault(target, error);
  }
};

const keyButton = (key) => {
  const button = element('button', { type: 'button', class: 'link' }, key);
  button.addEventListener('click', () => showKey(key));
  return button;
};

const showPage = async (prefix, cursor) => {
  const target = byId('state-list');
  const query = new URLSearchParams({
    prefix,
    limit: String(pageSize),
    ...(cursor === undefined ? {} : { cursor }),
  });
  try {
    const page = await read(`/state?${query}`);
    if (page.entries.length === 0) {
      target.replaceChildren(element('p', { class: 'quiet' }, 'No key begins so.'));
      return;
    }
    const rows = page.entries.map(({ key, value, version }) =>
      row(keyButton(key), version, element('code', {}, short(value))),
    );
    target.replaceChildren(table(['key', 'version', 'value'], rows));
    if (page.cursor === undefined) return;
    const next = element('button', { type: 'button' }, 'Next page');
    next.addEventListener('click', () => showPage(prefix, page.cursor));
    target.append(next);
  } catch (error) {
    tellFault(target, error);
  }
};

export const startState = () => {
  byId('state-form').addEventListener('submit', (event) => {
    event.preventDefault();
    byId('state-key').replaceChildren();
    showPage(byId('prefix').value);
  });
  showPage('');
};
