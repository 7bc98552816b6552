import { createServer } from 'node:net';
import { ServiceBroker, type ServiceSchema } from 'moleculer';
import ApiGateway from 'moleculer-web';

/**
 * A Moleculer node: `local` has gateway and action in one process, as small users run it; `gateway` and `service` are the
 * two halves, each in a process of its own, over its TCP transporter. Arguments: which, and the ports of the halves' links.
 * Prints the port of its gateway, or `ready`.
 */
const [, , part = 'local', gatewayLink = '0', serviceLink = '0'] = process.argv;

const echo: ServiceSchema = {
  name: 'bench',
  actions: {
    say: () => ({ sum: 3, words: ['one', 'two'], at: '2030-01-01T00:00:00.000Z' }),
  },
};

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

const links = [`127.0.0.1:${gatewayLink}/gateway`, `127.0.0.1:${serviceLink}/service`];
const broker = new ServiceBroker({
  nodeID: part,
  logger: false,
  ...(part === 'local'
    ? {}
    : {
        transporter: {
          type: 'TCP',
          options: {
            udpDiscovery: false,
            urls: links.join(),
            port: Number(part === 'gateway' ? gatewayLink : serviceLink),
          },
        },
      }),
});
if (part !== 'gateway') broker.createService(echo);
if (part === 'service') {
  await broker.start();
  process.stdout.write('ready\n');
} else {
  const port = await freePort();
  broker.createService({
    name: 'api',
    mixins: [ApiGateway],
    settings: {
      ip: '127.0.0.1',
      port,
      routes: [{ path: '/', bodyParsers: { json: true }, aliases: { 'POST say': 'bench.say' } }],
    },
  });
  await broker.start();
  await broker.waitForServices('bench');
  process.stdout.write(`${port}\n`);
}
