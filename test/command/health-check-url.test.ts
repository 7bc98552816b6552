import test from 'ava';
import { healthCheckUrlFault } from '../../src/command/health-check-url.ts';
import { serviceSchemas } from '../../src/command/service-schemas.ts';

const accepted = [
  'http://127.0.0.1:4001/health',
  'https://Memory.example.org/health?deep=1',
  'http://[::1]:80/',
  'http://memory',
  'tcp://127.0.0.1:6379',
  'tcp://[fd00::1]:6379',
  'tcp://redis.internal:6379',
];

const refused: readonly [url: string, why: RegExp][] = [
  ['', /http:\/\//],
  ['memory:4001', /http:\/\//],
  ['ftp://memory/', /http:\/\//],
  ['file:///etc/passwd', /http:\/\//],
  ['http://', /http:\/\//],
  ['http://ann:secret@memory/', /user name/],
  ['http://ann@memory/', /user name/],
  ['tcp://ann@memory:6379', /user name/],
  ['http://memory/#top', /fragment/],
  ['http://memory/#', /fragment/],
  ['tcp://memory:6379#', /fragment/],
  ['tcp://memory', /port/],
  ['tcp://memory:0', /port/],
  ['tcp://memory:6379/', /end after the port/],
  ['tcp://memory:6379/health', /end after the port/],
  ['tcp://memory:6379?x', /end after the port/],
  ['tcp://127.1:6379', /plain host name/],
  ['tcp://0x7f000001:6379', /plain host name/],
  ['tcp://%6d:6379', /plain host name/],
  ['http://127.1/', /usual way/],
  ['http://0x7f000001/', /usual way/],
  ['http://2130706433/', /usual way/],
  ['http://0177.0.0.1/', /usual way/],
  ['http://127.0.0.1./', /usual way/],
  ['http://１27.0.0.1/', /usual way/],
  ['http://m%65mory/', /usual way/],
  ['http:memory/', /usual way/],
  ['http:\\\\memory/', /usual way/],
  ['http://mem\tory/', /usual way/],
];

test('an address of a health check is http, https or tcp with a host in its usual spelling', (t) => {
  for (const url of accepted) t.is(healthCheckUrlFault(url), undefined, url);
});

test('every other address is refused with a message that says why', (t) => {
  for (const [url, why] of refused) t.regex(healthCheckUrlFault(url) ?? 'nothing', why, url);
});

test('a registration with such an address is refused at /healthCheckUrl', (t) => {
  const service = { name: 'memory', version: '1.0.0', host: '127.0.0.1', port: 4000 };
  const parse = (healthCheckUrl: string | null) =>
    serviceSchemas.RegisterService.safeParse({ ...service, healthCheckUrl });
  t.true(parse(null).success);
  t.true(parse('tcp://127.0.0.1:6379').success);
  t.like(parse('tcp://127.0.0.1').error?.issues[0], {
    path: ['healthCheckUrl'],
    message: 'must name a port: tcp://host:port',
  });
});
