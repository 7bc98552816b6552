import test from 'ava';
import { createTargets, type TargetsOptions } from '../../../src/registry/target/targets.ts';

const names: Record<string, readonly string[]> = {
  localhost: ['127.0.0.1', '::1'],
  'public.example': ['93.184.216.34', '2606:2800:220:1::1'],
  'rebound.example': ['93.184.216.34', '169.254.169.254'],
  'mixed.example': ['93.184.216.34', '10.0.0.1'],
  'empty.example': [],
};

const targets = (options: Partial<TargetsOptions> = {}) =>
  createTargets({
    mode: 'protected',
    allowedTargets: [],
    ownPorts: () => [8080],
    localAddresses: () => ['127.0.0.1', '192.168.7.7'],
    resolve: async (name) => {
      const addresses = names[name];
      if (addresses === undefined) throw new Error(`no such name: ${name}`);
      return addresses;
    },
    ...options,
  });

const verdict = async (host: string, options?: Partial<TargetsOptions>, port = 9000): Promise<string> => {
  const checked = await targets(options).check(host, port);
  return checked.ok ? checked.addresses.join(' ') : checked.reason;
};

const neverAllowed = [
  '169.254.169.254',
  '169.254.1.1',
  'fe80::1',
  'fd00:ec2::254',
  '100.100.100.200',
  '168.63.129.16',
  '0.0.0.0',
  '0.1.2.3',
  '::',
  '224.0.0.1',
  'ff02::1',
  '255.255.255.255',
  '::ffff:169.254.169.254',
  '64:ff9b::a9fe:a9fe',
  '2002:a9fe:a9fe::1',
  'rebound.example',
  'fd00:ec2::23',
  'fd20:ce::254',
  '::169.254.169.254',
  '::a9fe:a9fe',
  '::ffff:0:a9fe:a9fe',
  '64:ff9b:1::a9fe:a9fe',
  '2a00::5efe:a9fe:a9fe',
];
for (const host of neverAllowed) {
  test(`never a target, whatever is configured: ${host}`, async (t) => {
    t.is(await verdict(host), 'refused');
    t.is(await verdict(host, { mode: 'authenticated' }), 'refused');
    t.is(await verdict(host, { allowedTargets: ['0.0.0.0/0', '::/0'] }), 'refused');
  });
}

const odd = [
  '0x7f000001',
  '2130706433',
  '127.1',
  '127.0.1',
  '0177.0.0.1',
  '127.0.0.0x1',
  '127.0.0.1.',
  'example.com..',
  'user@127.0.0.1',
  'user:pass@example.com',
  'example.com:80',
  'example.com/x',
  'example.com#',
  'fe80::1%eth0',
  '[127.0.0.1]',
  '[::1',
  'exa mple',
  'exämple.com',
  '',
  '.',
  '-x.example',
  `${'a'.repeat(254)}`,
];
for (const host of odd) {
  test(`refused without asking the resolver: ${JSON.stringify(host.slice(0, 40))}`, async (t) => {
    let asked = false;
    const resolve = async (): Promise<readonly string[]> => {
      asked = true;
      return ['93.184.216.34'];
    };
    t.is(await verdict(host, { resolve, allowedTargets: ['0.0.0.0/0', '::/0'] }), 'refused');
    t.false(asked);
  });
}

const byMode: readonly [host: string, open: string, authenticated: string, class_: string][] = [
  ['127.0.0.1', '127.0.0.1', 'refused', 'loopback'],
  ['127.8.8.8', '127.8.8.8', 'refused', 'loopback'],
  ['[::1]', '::1', 'refused', 'loopback'],
  ['::ffff:127.0.0.1', '::ffff:127.0.0.1', 'refused', 'mapped loopback'],
  ['64:ff9b::7f00:1', '64:ff9b::7f00:1', 'refused', 'loopback behind NAT64'],
  ['::7f00:1', '::7f00:1', 'refused', 'IPv4-compatible loopback'],
  ['64:ff9b:1::7f00:1', '64:ff9b:1::7f00:1', 'refused', 'loopback behind a local NAT64'],
  ['2a00::200:5efe:a01:203', 'refused', '2a00::200:5efe:a01:203', 'private by ISATAP'],
  ['4000::1', 'refused', 'refused', 'outside global unicast'],
  ['localhost', '127.0.0.1 ::1', 'refused', 'a loopback name'],
  ['localhost.', '127.0.0.1 ::1', 'refused', 'a loopback name with the dot of the root'],
  ['10.1.2.3', 'refused', '10.1.2.3', 'private'],
  ['172.16.0.1', 'refused', '172.16.0.1', 'private'],
  ['192.168.1.1', 'refused', '192.168.1.1', 'private'],
  ['fd12::1', 'refused', 'fd12::1', 'unique local'],
  ['64:ff9b::a01:203', 'refused', '64:ff9b::a01:203', 'private behind NAT64'],
  ['mixed.example', 'refused', '93.184.216.34 10.0.0.1', 'public and private'],
  ['100.64.0.1', 'refused', 'refused', 'carrier-grade NAT'],
  ['198.18.0.1', 'refused', 'refused', 'benchmarks'],
  ['240.0.0.1', 'refused', 'refused', 'reserved'],
  ['2001:db8::1', 'refused', 'refused', 'documentation'],
  ['93.184.216.34', '93.184.216.34', '93.184.216.34', 'public'],
  ['public.example', '93.184.216.34 2606:2800:220:1::1', '93.184.216.34 2606:2800:220:1::1', 'public name'],
  ['empty.example', 'unresolved', 'unresolved', 'a name without addresses'],
  ['unknown.example', 'unresolved', 'unresolved', 'an unknown name'],
];
for (const [host, open, authenticated, what] of byMode) {
  test(`the mode decides when nothing is configured: ${what} (${host})`, async (t) => {
    t.is(await verdict(host), open);
    t.is(await verdict(host, { mode: 'authenticated' }), authenticated);
  });
}

test('with allowedTargets only those networks are targets, in every mode', async (t) => {
  const options = { allowedTargets: ['10.0.0.0/8', '100.64.0.0/10', '127.0.0.1/32'] };
  t.is(await verdict('10.9.9.9', options), '10.9.9.9');
  t.is(await verdict('100.64.0.1', options), '100.64.0.1');
  t.is(await verdict('::ffff:10.9.9.9', options), '::ffff:10.9.9.9');
  t.is(await verdict('127.0.0.2', options), 'refused');
  t.is(await verdict('93.184.216.34', options), 'refused');
  t.is(await verdict('mixed.example', options), 'refused');
});

test('the hub is never its own target, by any address of the machine', async (t) => {
  const options = { allowedTargets: ['0.0.0.0/0', '::/0'] };
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', 'localhost', '192.168.7.7']) {
    t.is(await verdict(host, options, 8080), 'refused', host);
    t.not(await verdict(host, options, 8081), 'refused', host);
  }
  t.is(await verdict('192.168.7.8', options, 8080), '192.168.7.8');
});

test('one name is looked up once at a time, and again for the next check', async (t) => {
  let lookups = 0;
  const subject = targets({
    resolve: async () => {
      lookups++;
      return ['127.0.0.1'];
    },
  });
  await Promise.all([subject.check('a.example', 1), subject.check('a.example', 2)]);
  t.is(lookups, 1);
  await subject.check('a.example', 1);
  t.is(lookups, 2);
});

test('the system resolver knows localhost', async (t) => {
  const subject = createTargets({ mode: 'protected', allowedTargets: [], ownPorts: () => [] });
  const checked = await subject.check('localhost', 9000);
  t.true(checked.ok && checked.addresses.length > 0);
});
