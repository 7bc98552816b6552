import type { IncomingMessage } from 'node:http';
import test from 'ava';
import { createClientAddress } from '../../src/gateway/limits/client-address.ts';

const request = (remoteAddress: string, forwarded?: string): IncomingMessage =>
  ({
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    socket: { remoteAddress },
  }) as unknown as IncomingMessage;

test('without trusted proxies › X-Forwarded-For counts for nothing', (t) => {
  const address = createClientAddress([]);
  t.is(address(request('10.0.0.1', '1.2.3.4')), '10.0.0.1');
});

for (const [peer, forwarded, expected] of [
  ['10.0.0.1', '1.2.3.4', '1.2.3.4'],
  ['10.0.0.1', '6.6.6.6, 1.2.3.4', '1.2.3.4'],
  ['10.0.0.1', '6.6.6.6, 1.2.3.4, 10.0.0.2', '1.2.3.4'],
  ['10.0.0.1', '1.2.3.4, garbage, 10.0.0.2', '10.0.0.2'],
  ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['10.0.0.1', '', '10.0.0.1'],
  ['::ffff:10.0.0.1', '::ffff:1.2.3.4', '1.2.3.4'],
  ['1.1.1.1', '1.2.3.4', '1.1.1.1'],
  ['fd00::1', '2001:db8:1:2:3::4', '20010db800010002/64'],
] as const) {
  test(`behind 10.0.0.0/8 and fd00::/8 › ${peer} with “${forwarded}” is ${expected}`, (t) => {
    t.is(createClientAddress(['10.0.0.0/8', 'fd00::/8'])(request(peer, forwarded)), expected);
  });
}

test('an IPv6 client › is its /64, whichever address of it comes', (t) => {
  const address = createClientAddress([]);
  t.is(address(request('2001:db8::1')), address(request('2001:db8::ffff:1')));
  t.not(address(request('2001:db8::1')), address(request('2001:db8:0:1::1')));
});
