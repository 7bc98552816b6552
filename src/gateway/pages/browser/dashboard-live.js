import { byId, element, row } from './dom.js';
import { token } from './session.js';

/* What happens now: messages of a pattern, or every event of the log, over the hub's own WebSocket. */

const maxRows = 100;
const maxText = 200;
const againMs = 3_000;

const short = (value) => {
  const text = JSON.stringify(value);
  return text.length > maxText ? `${text.slice(0, maxText)}…` : text;
};

const rowOf = (frame) =>
  frame.type === 'message'
    ? row(
        frame.publishedAt,
        element('code', {}, frame.topic),
        frame.publisher,
        element('code', {}, short(frame.payload)),
      )
    : row(
        frame.metadata.recordedAt,
        element('code', {}, frame.eventType),
        frame.metadata.actor,
        element('code', {}, `${frame.stream} ${short(frame.data)}`),
      );

export const startLive = () => {
  const rows = byId('live-rows');
  const state = byId('live-state');
  let socket;
  let wanted = 0;

  const follow = () => {
    const mine = ++wanted;
    socket?.close();
    rows.replaceChildren();
    const all = byId('live-what').value === 'events';
    byId('topic').disabled = all;
    const protocols = token() === '' ? ['nexus.v1'] : ['nexus.v1', `bearer.${token()}`];
    // The origin of the page, never a text that came from elsewhere.
    socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/ws`, protocols);
    socket.addEventListener('open', ({ target }) => {
      target.send(
        JSON.stringify(all ? { type: 'tail', all: true } : { type: 'subscribe', topic: byId('topic').value }),
      );
    });
    socket.addEventListener('message', ({ data }) => {
      if (mine !== wanted) return;
      const frame = JSON.parse(data);
      if (frame.type === 'error') state.textContent = frame.message;
      else if (frame.type === 'subscribed' || frame.type === 'tailing') state.textContent = 'live';
      else if (frame.type === 'message' || frame.type === 'event') {
        rows.prepend(rowOf(frame));
        while (rows.childElementCount > maxRows) rows.lastElementChild.remove();
      }
    });
    socket.addEventListener('close', () => {
      if (mine !== wanted) return;
      state.textContent = 'not connected';
      setTimeout(() => {
        if (mine === wanted) follow();
      }, againMs);
    });
  };

  byId('live-form').addEventListener('submit', (event) => {
    event.preventDefault();
    follow();
  });
  byId('live-what').addEventListener('change', follow);
  follow();
};
