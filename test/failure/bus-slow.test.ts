import { readFile } from 'node:fs/promises';
import test from 'ava';
import { isLong } from '../support/skip.ts';
import { type Frame, openWs } from '../support/ws-client.ts';
import { consumerOf, createGroup, settledAll, startNode, viewOf } from './bus-rounds.ts';

/** 100 MiB: in messages of 64 KiB in the suite, and of 10 KiB with NEXUS_LONG=1. */
const messages = isLong ? 10_000 : 1_600;
const bytes = isLong ? 10 * 1_024 : 64 * 1_024;
const heapMb = 96;
const group = 'slow';
const topic = 'slow.all';
const settings = { topic, ackWaitMs: 1_000, maxDeliver: 100, backoffMs: [0], maxInFlight: 1_000 };

/** What the process holds that is no file's, in MiB. */
const anonymousMb = async (pid: number): Promise<number> => {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) / 1_024;
};

test(`a consumer that holds all it may and reads nothing › costs the others nothing, and the hub no memory`, async (t) => {
  t.timeout(10 * 60_000);
  // Less than what waits: a hub that held the backlog would end here.
  const env = { NODE_OPTIONS: `--max-old-space-size=${heapMb}` };
  const node = await startNode(t, 'hub', 'file:data', env);
  await createGroup(node.hub.url, group, settings);
  const publisher = await openWs(node.hub.url);
  t.teardown(() => publisher.socket.terminate());
  const payload = 'x'.repeat(bytes);
  for (let sent = 0; sent < messages; sent += 50) {
    const asked = Array.from({ length: 50 }, () => publisher.ask({ type: 'publish', topic, payload }));
    for (const { type } of await Promise.all(asked)) t.is(type, 'published');
  }

  const silent = await consumerOf(t, node.hub.url, group, 100);
  const first = await silent.waitForType('message');
  silent.socket.pause();
  const before = await anonymousMb(node.hub.pid);
  let most = before;
  const seen = new Map<string, number>();
  const acknowledge = ({ messageId, delivery, attempt }: Frame): object => {
    seen.set(String(messageId), Number(attempt));
    return { type: 'ack', delivery };
  };
  for (const number of [1, 2]) {
    const client = await consumerOf(t, node.hub.url, group, 50 * number);
    client.onFrame((frame) => {
      if (frame.type === 'message') client.send(acknowledge(frame));
    });
  }
  for (let left = messages; left > 0; left = Number((await viewOf(node.hub.url, group)).lagEvents))
    most = Math.max(most, await anonymousMb(node.hub.pid));
  const again = [...seen.values()].filter((attempt) => attempt > 1).length;
  t.log(
    `${messages} messages of ${bytes / 1_024} KiB, a heap of ${heapMb} MiB: the hub held ${Math.round(before)} MiB before and`,
    `${Math.round(most)} at most; ${again} came again from the silent one`,
  );
  t.is(seen.size, messages, 'the others got everything');
  t.true(again > 0, 'what it held timed out');

  silent.socket.resume();
  const late = await silent.ask({ type: 'ack', delivery: first.delivery });
  t.is(late.code, 'stale_delivery');
  t.like(await settledAll(node.hub.url, group), { deadLetters: 0 });
  t.notRegex(node.hub.stderr(), /"level":"(error|fatal)"/);
});
