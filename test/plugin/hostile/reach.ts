import { type HostilePlugin, lives, probe, row } from './hostile-plugin.ts';

/**
 * What it was not granted. The places that the runner fills with what nobody may get: the key `secret/key`, the key
 * `plugin/witness/secret`, the topic `secret.topic`, the service `secret-service`, and, in `config`, the address `trap` of a
 * server that counts who comes, and `open`, one that is granted and redirects to `trap`.
 */
export const reach: readonly HostilePlugin[] = [
  row(
    'reach-state-read',
    'keys of others',
    probe(`
    for (const key of ['secret/key', 'plugin/witness/secret', 'plugin/hostile/../witness/secret', context.state.prefix + '../witness/secret', 'nexus/x', '', '*', '__proto__', '/', 'plugin/', 'PLUGIN/witness/secret', 'plugin%2Fwitness%2Fsecret', ' plugin/witness/secret', 'plugin/witness/secret\\u0000', 'secret/key/'])
      await attemptLater(key, async () => { const entry = await context.state.get(key); return entry && JSON.stringify(entry.value); });`),
    lives('ok'),
  ),
  row(
    'reach-state-list',
    'lists of the keys of others',
    probe(`
    for (const prefix of ['', 's', 'secret/', 'plugin/', 'plugin/witness/', 'plugin/w', '*', 'plugin/*', context.state.prefix.slice(0, -1), context.state.prefix.slice(0, -3), '../', undefined, null, {}])
      await attemptLater(String(prefix), async () => { const list = await context.state.list(prefix); const others = list.filter((entry) => !entry.key.startsWith(context.state.prefix)); return others.length > 0 && JSON.stringify(others).slice(0, 80); });
    await attemptLater('after', async () => { const list = await context.state.list(context.state.prefix, { after: 'a', limit: 1000000 }); return list.some((entry) => !entry.key.startsWith(context.state.prefix)); });`),
    lives('ok'),
  ),
  row(
    'reach-state-write',
    'keys of others, written and deleted',
    probe(`
    for (const key of ['secret/key', 'plugin/witness/secret', 'nexus/config', 'plugin/', 'app/x', context.state.prefix.slice(0, -1), context.state.prefix.slice(0, -1) + 'x/y', '__proto__', 'x'.repeat(5000)]) {
      await attemptLater('set ' + key.slice(0, 30), async () => { await context.state.set(key, 'forged'); return 'set'; });
      await attemptLater('delete ' + key.slice(0, 30), async () => { await context.state.delete(key); return 'deleted'; });
    }`),
    lives('ok'),
  ),
  row(
    'reach-state-watch',
    'changes of the keys of others',
    probe(`
    for (const selector of ['*', 'secret/*', 'secret/key', 'plugin/*', 'plugin/witness/*', '', '**', 'plugin/witness/secret'])
      await attemptLater(selector, async () => { await context.state.watch(selector, () => {}); return 'watching'; });`),
    lives('ok'),
  ),
  row(
    'reach-state-options',
    'options of writes that are none',
    probe(`
    for (const options of [{ expectedVersion: '__proto__' }, { expectedVersion: -1 }, { expectedVersion: 1.5 }, { ttlSec: -1 }, { ttlSec: 1e300 }, { subject: 'admin' }, { actor: 'admin', metadata: { actor: 'admin' } }, 5, 'x', []])
      await attemptLater(JSON.stringify(options), async () => { await context.state.set(context.state.prefix + 'o', 1, options); const entry = await context.state.get(context.state.prefix + 'o'); return entry.updatedBy !== 'plugin:' + context.name && entry.updatedBy; });`),
    lives('ok'),
  ),
  row(
    'reach-publish',
    'topics that are not granted',
    probe(`
    for (const topic of ['secret.topic', 'orders.created', 'granted.>', 'granted.*', '>', '*', '', '.', 'granted', 'granted.a.b.c' + '.x'.repeat(100), '$SYS.x', 'nexus.x', 'granted..x', 'granted.\\u0000', ' granted.a', 'granted.a\\n', '__proto__'])
      await attemptLater(topic.slice(0, 30), async () => { const { messageId } = await context.messageBus.publish(topic, 'forged'); return messageId; });`),
    lives('ok'),
    { permissions: { publish: ['granted.*'] } },
  ),
  row(
    'reach-publish-options',
    "options by which a message would be another one's",
    probe(`
    for (const options of [{ subject: 'admin' }, { publisher: 'admin' }, { metadata: { actor: 'admin' } }, { priority: 'HIGHEST' }, { ttlMs: -1 }, { ttlMs: 'x' }, { deliverAt: 'never' }, { messageId: '' }, { messageId: 'x'.repeat(10000) }, { headers: { 'x\\r\\ny': '1' } }, { headers: 5 }, { key: 5 }, { topic: 'secret.topic' }, 5, [], 'x'])
      await attemptLater(JSON.stringify(options).slice(0, 60), async () => { await context.messageBus.publish('granted.a', { by: context.name }, options); });
    await attemptLater('none granted', async () => (await context.messageBus.publish('secret.topic', 'forged', { topic: 'granted.a' })).messageId);`),
    lives('ok'),
    { permissions: { publish: ['granted.a'] } },
  ),
  row(
    'reach-subscribe',
    'messages that are not granted',
    probe(`
    for (const pattern of ['>', '*', 'secret.topic', 'secret.>', '*.topic', 'attack.>.x', '', '.', '$SYS.>', 'granted.>', '__proto__'])
      await attemptLater(pattern, async () => { await context.messageBus.subscribe(pattern, () => {}); return 'subscribed'; });
    for (const options of [{ durable: '../x' }, { durable: 'x'.repeat(100) }, { durable: 'plugin.witness.own' }, { durable: '' }, { durable: '__proto__ ' }, { from: 'never', durable: 'a' }, { maxInFlight: 1e9, durable: 'b' }, { maxDeliver: -1, durable: 'c' }, { backoffMs: ['x'], durable: 'd' }, { backoffMs: Array(100000).fill(1), durable: 'e' }])
      await attemptLater(JSON.stringify(options).slice(0, 60), async () => { await context.messageBus.subscribe('granted.a', () => {}, options); return 'subscribed'; });`),
    lives('ok'),
    { permissions: { subscribe: ['granted.a'] } },
  ),
  row(
    'reach-services',
    'services that are not granted',
    probe(`
    await attemptLater('list', async () => JSON.stringify(await context.services.list()));
    for (const name of ['secret-service', 'granted', '*', '', '../x', '__proto__', 'granted-service/../secret-service'])
      await attemptLater('invoke ' + name, async () => JSON.stringify((await context.services.invoke(name, 'read', {})).result));`),
    lives('ok'),
    { permissions: { services: { list: false, invoke: ['granted-*'] } } },
  ),
  row(
    'reach-fetch',
    'hosts that are not granted',
    probe(
      `
    const { trap } = context.config;
    const port = new URL2(trap).port;
    for (const url of [trap, trap + '/x', 'http://127.0.0.1:' + port + '/', 'http://localhost:' + port, 'http://[::1]:' + port, 'http://0.0.0.0:' + port, 'http://0x7f000001:' + port, 'http://2130706433:' + port, 'http://127.1:' + port, 'http://[::ffff:127.0.0.1]:' + port, 'http://169.254.169.254/latest/meta-data/', 'http://metadata.google.internal/', 'file:///etc/passwd', 'data:text/plain,x', 'ftp://127.0.0.1/', 'ws://127.0.0.1:' + port, 'javascript:1', 'blob:x', '', '/', '//127.0.0.1:' + port, 'http://granted.example@127.0.0.1:' + port + '/', 'http://granted.example#@127.0.0.1:' + port, 'http://granted.example:80@127.0.0.1:' + port, 'http://granted.example\\\\@127.0.0.1:' + port, 'http://granted.example.127.0.0.1.nip.io/', 'HTTP://127.0.0.1:' + port, ' http://127.0.0.1:' + port, 'http:/127.0.0.1:' + port, 'http:127.0.0.1:' + port, 'http://①②⑦.⓪.⓪.①:' + port])
      await attemptLater(url, async () => (await context.fetch(url)).status);`,
      'class URL2 { constructor(text) { this.port = /:(\\d+)/.exec(text.slice(6))[1]; } }',
    ),
    lives('ok'),
    { permissions: { fetch: ['http://granted.example'] } },
  ),
  row(
    'reach-fetch-redirect',
    'a host that is granted, and sends it on to one that is not',
    probe(`
    for (const init of [undefined, { redirect: 'follow' }, { method: 'POST', body: 'x', redirect: 'follow' }])
      await attemptLater('redirect', async () => { const answer = await context.fetch(context.config.open + '/redirect', init); return (answer.status < 300 || answer.status > 399) && answer.status; });`),
    lives('ok', 'timeout'),
    { permissions: { fetch: ['OPEN'] }, limits: { timeoutMs: 5_000 } },
  ),
  row(
    'reach-fetch-headers',
    'requests within requests, and headers that are not its own',
    probe(`
    const { open } = context.config;
    for (const init of [{ headers: { host: 'secret.example' } }, { headers: { 'x\\r\\nInjected': '1' } }, { headers: { x: 'y\\r\\nInjected: 1' } }, { method: 'GET / HTTP/1.1\\r\\nInjected: 1\\r\\n\\r\\nGET' }, { method: 'CONNECT' }, { method: 'TRACE' }, { headers: { 'content-length': '5' }, method: 'POST', body: 'GET / HTTP/1.1\\r\\n' }, { headers: { 'transfer-encoding': 'chunked' }, method: 'POST', body: '0\\r\\n\\r\\nGET /injected HTTP/1.1\\r\\n' }, { headers: { connection: 'upgrade', upgrade: 'websocket' } }, { headers: 5 }, { method: {} }, { body: {} }, { timeoutMs: -1 }, { timeoutMs: 1e300 }, { dispatcher: {}, agent: {} }])
      await attemptLater('', async () => { const answer = await context.fetch(open + '/headers', init); return /injected|secret/i.test(answer.body) && answer.body; });
    await attemptLater('path', async () => { const answer = await context.fetch(open + '/a\\r\\nInjected: 1'); return /"Injected/i.test(answer.body) && answer.body; });`),
    lives('ok', 'timeout'),
    { permissions: { fetch: ['OPEN'] }, limits: { timeoutMs: 5_000 } },
  ),
  row(
    'reach-fetch-endless',
    'answers that never end, and are larger than there is memory',
    probe(`
    await attemptLater('large', async () => (await context.fetch(context.config.open + '/large')).body.length);
    await attemptLater('endless', async () => (await context.fetch(context.config.open + '/endless', { timeoutMs: 100 })).body.length);
    await attemptLater('never', async () => (await context.fetch(context.config.open + '/never', { timeoutMs: 100 })).status);
    await attemptLater('compressed', async () => (await context.fetch(context.config.open + '/compressed')).body.length > 1e6);`),
    lives('ok', 'timeout'),
    { permissions: { fetch: ['OPEN'] }, limits: { timeoutMs: 5_000 } },
  ),
  row(
    'reach-refused-flood',
    'a thousand things that are not granted',
    probe(`
    for (let i = 0; i < 1000; i++) context.state.get('secret/' + i).catch(() => {});`),
    lives('ok'),
  ),
];
