import test, { type ExecutionContext } from 'ava';
import { type ErrorCode, errorTable } from '../../src/errors.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { readWholeLog, request } from '../support/rest.ts';
import { exchange, type RawAnswer } from './raw-client.ts';
import { type RawRequest, rawRequests, smuggled, unfinished } from './raw-requests.ts';

let hub: Hub;
/** Its clients have no time. */
let hasty: Hub;
test.before(async () => {
  hub = await openHub();
  hasty = await openHub({ timeouts: { headersMs: 500, requestMs: 500, checkEveryMs: 50 } });
  for (const { url } of [hub, hasty]) await request(url, 'PUT', '/state/raw', { body: { value: 0 } });
});
test.after.always(() => Promise.all([hub.close(), hasty.close()]));

const isCode = (text: unknown): text is ErrorCode => typeof text === 'string' && text in errorTable;

/** The code of a problem, the status of any other answer. A fault that is told otherwise than as a problem is none. */
const told = ({ status, headers, body }: RawAnswer): ErrorCode | number => {
  if (status < 400) return status;
  if (headers['content-type'] !== 'application/problem+json')
    throw new Error(`${status} without a problem: ${body}`);
  const { code, status: inBody, title }: Partial<Record<string, unknown>> = JSON.parse(body);
  if (
    !isCode(code) ||
    errorTable[code].status !== status ||
    inBody !== status ||
    errorTable[code].title !== title
  )
    throw new Error(`not a problem of the table: ${body}`);
  if ((headers['x-request-id'] ?? '') === '') throw new Error(`no X-Request-Id: ${body}`);
  return code;
};

const holds = async (
  t: ExecutionContext,
  { port, url }: Hub,
  [what, bytes, expected]: RawRequest,
  count?: number,
) => {
  const { answers, closed, rest } = await exchange(port, bytes, count);
  t.deepEqual([...answers.map(told), ...(closed ? ['closed'] : [])], [...expected], what);
  t.is(rest, '', what);
  const next = await request(url, 'GET', '/state/smuggled');
  t.is(next.status, 404, `${what}: what it carried was done`);
};

test('the request that is carried along › is one, so that whether it is done says something', async (t) => {
  const own = await openHub();
  t.teardown(own.close);
  const { answers } = await exchange(own.port, smuggled, 1);
  t.deepEqual(answers.map(told), [201]);
});

test(`${rawRequests.length} broken or odd requests › each has its answer, carries nothing in, and the next one is served`, async (t) => {
  t.true(rawRequests.length >= 80);
  for (let done = 0; done < rawRequests.length; done += 8) {
    const some = rawRequests.slice(done, done + 8);
    await Promise.all(
      some.map((row) => holds(t, hub, row, row[2].filter((each) => each !== 'closed').length)),
    );
  }
});

test(`${unfinished.length} requests that never end › are ended, and carry nothing in`, async (t) => {
  await Promise.all(unfinished.map((row) => holds(t, hasty, row)));
});

test.after('no raw request › has left an event, or caused an error in a hub', async (t) => {
  for (const { url, logged } of [hub, hasty]) {
    t.deepEqual(
      logged.filter(({ level }) => level === 'error'),
      [],
    );
    const streams = new Set<string>((await readWholeLog(url)).map(({ stream }) => stream));
    t.true(streams.has('state-raw'));
    for (const stream of streams) t.regex(stream, /^(?:state-raw|nexus-log|node-.*)$/);
  }
});
