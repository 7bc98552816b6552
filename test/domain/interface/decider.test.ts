import test from 'ava';
import { interfaceDecider, maxMajors } from '../../../domain/interface/decider.ts';
import type { InterfaceCommand, InterfaceEvent } from '../../../domain/interface/interface.ts';
import type { Methods } from '../../../domain/service/policy.ts';
import { by, given } from '../../support/given.ts';

const declare = (version: string, methods: Methods): InterfaceCommand => ({
  type: 'DeclareInterface',
  version,
  methods,
});
const declared = (major: string, version: string, methods: object): InterfaceEvent => ({
  type: 'InterfaceDeclared',
  data: { major, version, methods: { ...methods } },
});
const text = { type: 'string' };
const one = by('ann', declared('1', '1.3.0', { add: { input: text }, sub: {} }));

test('DeclareInterface › the first of a major version is declared, without what is no part of it', (t) => {
  given(t, interfaceDecider)
    .when(declare('1.3.0', { add: { input: text, idempotent: true, timeoutMs: 5, strategy: 'random' } }))
    .thenEvents(declared('1', '1.3.0', { add: { input: text, idempotent: true } }));
  given(t, interfaceDecider)
    .when(declare('0.3.1', { add: { idempotent: false } }))
    .thenEvents(declared('0.3', '0.3.1', { add: {} }));
});

test('DeclareInterface › the same version and methods again change nothing', (t) => {
  given(t, interfaceDecider, one)
    .when(declare('1.3.0', { add: { input: text }, sub: {} }))
    .thenEvents();
});

test('DeclareInterface › without methods declares nothing and is compared with nothing', (t) => {
  given(t, interfaceDecider, one).when(declare('1.4.0', {})).thenEvents();
});

test('DeclareInterface › more methods are declared, whoever registers them; so is a higher version', (t) => {
  const more = { add: { input: text }, sub: {}, mul: {} };
  given(t, interfaceDecider, one)
    .when(declare('1.3.0', more))
    .thenEvents(declared('1', '1.3.0', more));
  const same = { add: { input: text }, sub: {} };
  given(t, interfaceDecider, one)
    .when(declare('1.3.1', same))
    .thenEvents(declared('1', '1.3.1', same));
});

test('DeclareInterface › what breaks the newest of its major version is refused with the differences', (t) => {
  given(t, interfaceDecider, one)
    .when(declare('1.4.0', { add: { input: { type: 'number' } } }))
    .thenRejected({
      code: 'breaking_change',
      major: '1',
      declared: '1.3.0',
      differences: [
        {
          method: 'add',
          pointer: '/input/type',
          was: 'string',
          is: 'number',
          why: 'it accepts less: type leaves out string',
        },
        { method: 'sub', pointer: '', was: 'sub', is: null, why: 'the method was removed' },
      ],
    });
});

test('DeclareInterface › another major version is compared with its own', (t) => {
  const zero = by('ann', declared('0.1', '0.1.0', { add: {} }));
  for (const version of ['2.0.0', '0.3.0']) {
    const major = version === '2.0.0' ? '2' : '0.3';
    given(t, interfaceDecider, one, zero)
      .when(declare(version, { add: { input: { type: 'number' } } }))
      .thenEvents(declared(major, version, { add: { input: { type: 'number' } } }));
  }
});

test('DeclareInterface › an older version with fewer methods is let in and declares nothing', (t) => {
  for (const version of ['1.2.9', '1.3.0-rc.1'])
    given(t, interfaceDecider, one)
      .when(declare(version, { add: { input: text } }))
      .thenEvents();
});

test('DeclareInterface › an older version that has what the newest lacks is refused', (t) => {
  const decision = interfaceDecider.decide(declare('1.2.0', { div: {} }), {
    majors: [{ major: '1', version: '1.3.0', methods: { add: {} } }],
  });
  t.like(decision, {
    ok: false,
    rejection: { code: 'breaking_change', differences: [{ method: 'div', why: 'the method was removed' }] },
  });
});

test('RetireInterface › ends one major version, which can be begun anew', (t) => {
  const retired = by('ann', { type: 'InterfaceRetired', data: { major: '1', reason: 'typo' } } as const);
  given(t, interfaceDecider, one)
    .when({ type: 'RetireInterface', major: '1', reason: 'typo' })
    .thenEvents(retired.event);
  given(t, interfaceDecider, one, retired)
    .when({ type: 'RetireInterface', major: '1', reason: 'typo' })
    .thenRejected({ code: 'not_found' });
  const anew = { add: { input: { type: 'number' } } };
  given(t, interfaceDecider, one, retired)
    .when(declare('1.3.1', anew))
    .thenEvents(declared('1', '1.3.1', anew));
});

test('DeclareInterface › more major versions than one document may hold are refused', (t) => {
  const history = Array.from({ length: maxMajors }, (_, index) =>
    by('ann', declared(`${index + 1}`, `${index + 1}.0.0`, { add: {} })),
  );
  given(t, interfaceDecider, ...history)
    .when(declare('99.0.0', { add: {} }))
    .thenRejected({ code: 'too_many', max: maxMajors });
  given(t, interfaceDecider, ...history)
    .when(declare('1.1.0', { add: {}, sub: {} }))
    .thenEvents(declared('1', '1.1.0', { add: {}, sub: {} }));
});

test('DeclareInterface › what is no version is refused', (t) => {
  given(t, interfaceDecider)
    .when(declare('soon', { add: {} }))
    .thenRejected({ code: 'bad_version' });
});
