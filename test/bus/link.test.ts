import { once } from 'node:events';
import test from 'ava';
import { WebSocketServer } from 'ws';
import { openLink } from '../../src/bus/remote/link.ts';
import { nodeProtocol } from '../../src/bus/remote/protocol.ts';

test('a member that has left › is told of nothing that comes for it, nor of the end', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => nodeProtocol });
  t.teardown(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port');
  server.on('connection', (socket) => {
    socket.on('message', (data) => {
      const { id } = JSON.parse(String(data));
      const message = { topic: 't', payload: 1 };
      for (const member of [1, 2])
        socket.send(JSON.stringify({ member, deliveries: [{ delivery: 'd', attempt: 1, message }] }));
      socket.send(JSON.stringify({ id, ok: true, value: null }));
    });
  });
  const told: string[] = [];
  const link = openLink({
    url: `http://127.0.0.1:${address.port}`,
    token: () => undefined,
    onClosed: (_, wasOpen) => told.push(`closed ${wasOpen}`),
  });
  for (const member of [1, 2]) {
    link.attend(member, {
      deliveries: (batch) => told.push(`${member} got ${batch.length}`),
      ended: () => told.push(`${member} ended`),
    });
  }
  link.forget(1);
  t.true((await link.call({ op: 'live', name: 's' })).ok);
  link.close();
  t.deepEqual(told, ['2 got 1', '2 ended', 'closed true']);
});
