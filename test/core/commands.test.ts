import test from 'ava';
import type { CommandInput, Context } from '../../src/nexus-core.ts';
import { type Hub, openHub } from '../support/hub.ts';

const context: Context = { subject: { id: 'me', scopes: ['admin'] }, correlationId: 'c' };

const withHub = test.macro(
  async (t, body: (t: import('ava').ExecutionContext, hub: Hub) => Promise<void>) => {
    const hub = await openHub();
    try {
      await body(t, hub);
    } finally {
      await hub.close();
    }
  },
);

const commands: Readonly<Record<string, CommandInput>> = {
  SetState: { type: 'SetState', data: { key: 'k', value: 1 } },
  RegisterService: {
    type: 'RegisterService',
    data: { name: 'math', version: '1.0.0', host: '127.0.0.1', port: 9_000 },
  },
  PublishMessage: { type: 'PublishMessage', data: { topic: 'a.b', payload: 1 } },
};

for (const [type, command] of Object.entries(commands)) {
  test(
    `command id › ${type} under the same id is done once, also at once and after others`,
    withHub,
    async (t, hub) => {
      const input = { ...command, commandId: 'once' };
      const both = await Promise.all([hub.core.execute(input, context), hub.core.execute(input, context)]);
      await hub.core.execute({ type: 'SetState', data: { key: 'k', value: 'between' } }, context);
      const later = await hub.core.execute(input, context);
      const done = [...both, later].map((result) =>
        result.ok ? result.value : t.fail(result.problem.detail),
      );
      t.deepEqual(done.map((value) => value?.duplicate).toSorted(), [false, true, true]);
      const places = done.map((value) => value?.events.map(({ id, position }) => ({ id, position })));
      t.deepEqual(places[1], places[0]);
      t.deepEqual(places[2], places[0]);
      const log = await hub.core.log({ type: String(done[0]?.events[0]?.type) }, context);
      const recorded = log.ok ? log.value.events.filter(({ metadata }) => metadata.commandId === 'once') : [];
      t.is(recorded.length, 1);
    },
  );

  test(
    `command id › ${type} with another input under the same id is refused, and nothing is written`,
    withHub,
    async (t, hub) => {
      await hub.core.execute({ ...command, commandId: 'once' }, context);
      const before = (await hub.core.health()).log.position;
      const other = {
        ...(command.data as Record<string, unknown>),
        [type === 'SetState' ? 'value' : type === 'PublishMessage' ? 'payload' : 'weight']: 7,
      };
      const refused = await hub.core.execute({ type, data: other, commandId: 'once' }, context);
      t.is(refused.ok ? 'ok' : refused.problem.code, 'idempotency_mismatch');
      t.is((await hub.core.health()).log.position, before);
    },
  );
}

test(
  'command id › one that was used for one stream is refused for another, and is free again after a refusal',
  withHub,
  async (t, hub) => {
    const run = async (type: string, data: object, commandId: string) => {
      const result = await hub.core.execute({ type, data, commandId }, context);
      return result.ok ? 'done' : result.problem.code;
    };
    const service = { name: 'math', version: '1.0.0', host: '127.0.0.1', port: 9_000 };
    t.is(await run('SetState', { key: 'a', value: 1 }, 'state'), 'done');
    t.is(await run('SetState', { key: 'b', value: 1 }, 'state'), 'idempotency_mismatch');
    t.is(await run('RegisterService', { ...service, id: 's1' }, 'service'), 'done');
    t.is(await run('RegisterService', { ...service, id: 's2' }, 'service'), 'idempotency_mismatch');
    t.is(await run('PublishMessage', { topic: 'a', payload: 1, messageId: '1' }, 'message'), 'done');
    t.is(
      await run('PublishMessage', { topic: 'a', payload: 2, messageId: '2' }, 'message'),
      'idempotency_mismatch',
    );
    t.is(await run('DeleteState', { key: 'none' }, 'refused'), 'not_found');
    t.is(await run('DeleteState', { key: 'a' }, 'refused'), 'done');
  },
);

test(
  'message id › one that came without a command id gives the first answer to a command that has one',
  withHub,
  async (t, hub) => {
    const publish = (commandId?: string) =>
      hub.core.execute(
        {
          type: 'PublishMessage',
          data: { topic: 'a', payload: 1, messageId: 'm' },
          ...(commandId === undefined ? {} : { commandId }),
        },
        context,
      );
    const first = await publish();
    const again = await publish('key');
    t.true(first.ok && again.ok && again.value.duplicate);
    if (first.ok && again.ok) t.deepEqual(again.value.result, first.value.result);
  },
);

test('command id › the same id of another subject is another command', withHub, async (t, hub) => {
  const input = { type: 'SetState', data: { key: 'k', value: 1 }, commandId: 'once' };
  await hub.core.execute(input, context);
  const other = await hub.core.execute(input, { ...context, subject: { id: 'other', scopes: ['admin'] } });
  t.true(other.ok && !other.value.duplicate);
});

test(
  'message id › a repeated one on a topic gives the first answer and appends nothing',
  withHub,
  async (t, hub) => {
    const publish = (topic: string, payload: number) =>
      hub.core.execute({ type: 'PublishMessage', data: { topic, payload, messageId: 'm' } }, context);
    const first = await publish('a.b', 1);
    const again = await publish('a.b', 2);
    const elsewhere = await publish('a.c', 1);
    t.true(first.ok && again.ok && again.value.duplicate && !first.value.duplicate);
    if (first.ok && again.ok) t.deepEqual(again.value.result, first.value.result);
    t.true(elsewhere.ok && elsewhere.value.created);
  },
);

test(
  'update › both a status and fields, or neither, is refused with what is right',
  withHub,
  async (t, hub) => {
    const registered = await hub.core.execute(
      { type: 'RegisterService', data: { ...(commands.RegisterService?.data as object), id: 'm' } },
      context,
    );
    t.true(registered.ok);
    for (const data of [{ id: 'm' }, { id: 'm', status: 'draining', weight: 2 }]) {
      const refused = await hub.core.execute({ type: 'UpdateService', data }, context);
      t.is(refused.ok ? 'ok' : refused.problem.code, 'invalid');
    }
  },
);
