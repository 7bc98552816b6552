import test from 'ava';
import fc from 'fast-check';
import { createLogger } from '../src/logger.ts';

const lines = (
  level: 'debug' | 'warn',
  log: (logger: ReturnType<typeof createLogger>) => void,
): readonly string[] => {
  const written: string[] = [];
  log(createLogger(level, { write: (line) => written.push(line) }));
  return written;
};

test('a line is JSON with its level, time, message and facts', (t) => {
  const [line = ''] = lines('debug', (logger) => logger.warn({ service: 'a' }, 'gone'));
  t.like(JSON.parse(line), { level: 'warn', service: 'a', msg: 'gone' });
  t.regex(line, /"time":"\d{4}-\d\d-\d\dT/);
});

test('lines below the level are not written', (t) => {
  t.deepEqual(
    lines('warn', (logger) => logger.info({}, 'quiet')),
    [],
  );
});

test('a text without end is cut, not searched through and written whole', (t) => {
  const endless = '//'.repeat(500_000);
  const text = lines('debug', (logger) => {
    logger.warn({ endless, list: [endless], err: new Error(endless) }, 'm');
  }).join('');
  t.true(text.length < 100_000, `${text.length} characters`);
});

test('no secret is written: API keys and tokens by their form, in whatever text they stand', (t) => {
  const secrets = [
    `nxk_0123456789abcdef01234567_${'s'.repeat(43)}`,
    `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.${'s'.repeat(43)}`,
    's'.repeat(20),
  ];
  const text = lines('debug', (logger) => {
    for (const secret of secrets) {
      logger.info({ header: `Bearer ${secret}`, list: [`bearer.${secret}`] }, 'm');
      logger.error({ err: new Error(`refused: BEARER ${secret}.`) }, 'm');
    }
    logger.info(
      { a: `the key ${secrets[0]} and the token ${secrets[1]}`, b: 'A bearer token is needed' },
      'm',
    );
  }).join('');
  for (const secret of secrets) t.false(text.includes(secret), text);
  t.regex(text, /the key \*\*\* and the token \*\*\*/);
  t.regex(text, /A bearer token is needed/);
});

test('no secret is written: named ones, those in URLs, and those in errors', (t) => {
  const secret = 'S3CRET';
  const error = new Error(`cannot reach redis://user:${secret}@host:6379`);
  const text = lines('debug', (logger) => {
    logger.info(
      { jwtSecret: secret, headers: { authorization: `Bearer ${secret}` }, a: { b: { token: secret } } },
      'm',
    );
    logger.info({ url: `rediss://:${secret}@host`, urls: [`esdb://admin:${secret}@host`] }, 'm');
    logger.error({ err: error }, 'm');
    logger.error({ error }, 'm');
  }).join('');
  t.false(text.includes(secret), text);
  t.regex(text, /redis:\/\/\*\*\*@host:6379/);
});

test('what is hidden is what one pattern for all of it would hide', (t) => {
  const credentials = (text: string) => text.replace(/\/\/[^\s"'<>]*@/g, '//***@');
  const tokens = (text: string) => text.replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/gi, '***');
  const pieces = ['/', '//', '@', 'a', ' ', '"', '.', '-', 'eyJ', 'EYJ', '..', 'e'];
  const texts = fc.array(fc.constantFrom(...pieces), { maxLength: 16 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(texts, (text) => {
      const [line = '{}'] = lines('debug', (logger) => logger.warn({ text }, 'm'));
      t.is(JSON.parse(line).text, tokens(credentials(text)));
    }),
    { numRuns: 2_000 },
  );
});
