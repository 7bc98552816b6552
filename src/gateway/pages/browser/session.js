import { byId } from './dom.js';

/* The reader's token: it stays in this tab, and goes nowhere but into the header of requests to this hub. */
const place = 'nexus-token';

export const token = () => sessionStorage.getItem(place) ?? '';

const keep = (text) => {
  if (text === '') sessionStorage.removeItem(place);
  else sessionStorage.setItem(place, text);
};

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `status ${status}`);
    this.status = status;
    this.code = problem.code ?? '';
    this.scope = problem.scope ?? '';
  }
}

/** The JSON at `path`. @throws {Refused} for an answer that is none of 2xx. */
export const read = async (path) => {
  const authorization = token() === '' ? {} : { authorization: `Bearer ${token()}` };
  const response = await fetch(path, {
    headers: { accept: 'application/json', ...authorization },
    credentials: 'omit',
    cache: 'no-store',
  });
  const body = await response.json().catch(() => ({}));
  // A health that is "down" is an answer, too.
  if (response.ok || body.code === undefined) return body;
  throw new Refused(response.status, body);
};

/**
 * Runs `start` once the hub lets the reader in, and asks for a token until then. Signing out loads the page anew.
 *
 * @param {() => Promise<void>} start
 */
export const whenAdmitted = async (start) => {
  const form = byId('sign-in');
  const input = byId('token');
  const leave = byId('sign-out');
  const notice = byId('notice');
  const attempt = async () => {
    notice.textContent = '';
    try {
      await start();
      form.hidden = true;
      leave.hidden = token() === '';
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 401) {
        notice.textContent = error instanceof Refused ? error.message : 'The hub cannot be reached.';
        return;
      }
      if (token() !== '') notice.textContent = error.message;
      keep('');
      form.hidden = false;
      input.focus();
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    keep(input.value.trim());
    input.value = '';
    attempt();
  });
  leave.addEventListener('click', () => {
    keep('');
    location.reload();
  });
  await attempt();
};
