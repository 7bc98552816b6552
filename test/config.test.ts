import { readFileSync } from 'node:fs';
import test from 'ava';
import { optionsMarkdown } from '../src/config/help.ts';
import { optionNames, options } from '../src/config/options.ts';
import { type Config, parseConfig } from '../src/config.ts';

const secret = 'a-secret-of-32-bytes-that-is-long-enough';

const parse = (argv: readonly string[] = [], env: NodeJS.ProcessEnv = {}, file?: unknown) =>
  parseConfig(argv, env, (path) =>
    path === 'nexus.config.json' && file !== undefined
      ? typeof file === 'string'
        ? file
        : JSON.stringify(file)
      : undefined,
  );

const config = (...given: Parameters<typeof parse>): Config => {
  const parsed = parse(...given);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.config;
};

const message = (...given: Parameters<typeof parse>): string => {
  const parsed = parse(...given);
  return parsed.ok ? 'accepted' : parsed.message;
};

test('with nothing given every option has the default of the documents', (t) => {
  t.deepEqual(config(), {
    apiHost: '0.0.0.0',
    apiPort: 8080,
    log: ['file:./nexus-data'],
    dataDir: './nexus-data',
    stateFile: 'nexus_state.json',
    snapshotEverySec: 300,
    stateResolvers: [],
    pluginDir: 'nexus_plugins',
    pluginIntegrity: 'none',
    pluginKeys: null,
    pluginTrust: [],
    pluginSandbox: 'auto',
    pluginWatch: false,
    jwtSecret: null,
    jwksUrl: null,
    jwksFile: null,
    jwtIssuer: null,
    jwtAudience: null,
    rateLimitMax: 6_000,
    rateLimitReadMax: null,
    rateLimitWriteMax: null,
    rateLimitInvokeMax: null,
    rateLimitWindowSec: 60,
    maxInFlight: 1_000,
    maxLagMs: 75,
    maxConnections: 16_384,
    maxConnectionsPerAddress: 1_024,
    maxWebSockets: 12_288,
    wsFramesPerSec: 2_000,
    trustedProxies: [],
    corsOrigins: [],
    allowedTargets: [],
    tlsCert: null,
    tlsKey: null,
    graphqlIntrospection: true,
    graphqlDocuments: null,
    graphqlDocumentsOnly: false,
    zmqPublish: 'tcp://127.0.0.1:5556',
    zmqCommand: 'tcp://127.0.0.1:5557',
    zmqCurveSecretKey: null,
    zmqCurveClients: null,
    peers: [],
    advertiseUrl: null,
    logLevel: 'info',
    acceptLog: null,
  });
});

test('flags go over the environment, the environment over the file, the file over the default', (t) => {
  const file = { apiPort: 3 };
  t.is(config([], {}, file).apiPort, 3);
  t.is(config([], { NEXUS_API_PORT: '2' }, file).apiPort, 2);
  t.is(config(['--api-port', '1'], { NEXUS_API_PORT: '2' }, file).apiPort, 1);
  t.is(config(['--api-port=0'], { NEXUS_API_PORT: '2' }, file).apiPort, 0);
});

test('an overridden value is checked all the same', (t) => {
  t.regex(message(['--api-port', '1'], { NEXUS_API_PORT: 'http' }), /^apiPort: "http" \(NEXUS_API_PORT\)/);
});

test('the log stands in the data folder unless it is given, and redisUrl is short for it', (t) => {
  t.deepEqual(config(['--data-dir', '/srv/n']).log, ['file:/srv/n']);
  t.deepEqual(config(['--redis-url', 'redis://r:6379']).log, ['redis://r:6379']);
  t.deepEqual(config(['--redis-url', 'redis://r:6379', '--log', 'file:x']).log, ['file:x']);
});

test('a key set comes by https, or by http from this machine alone', (t) => {
  for (const url of [
    'https://id.example/keys?v=1',
    'http://127.0.0.1:9/k',
    'http://localhost',
    'http://[::1]:1/k',
  ]) {
    t.is(config([], { NEXUS_JWKS_URL: url }).jwksUrl, url);
  }
});

test('logs are separated by commas, and the commas inside an EventStoreDB string stay', (t) => {
  t.deepEqual(config(['--log', 'esdb://a:1,b:2,c:3?tls=false,redis://r:6379,file:d']).log, [
    'esdb://a:1,b:2,c:3?tls=false',
    'redis://r:6379',
    'file:d',
  ]);
  t.deepEqual(config([], {}, { log: ['redis://r', 'file:d'] }).log, ['redis://r', 'file:d']);
});

test('lists come as text with commas or as an array, an address alone is its own network', (t) => {
  t.deepEqual(config([], { NEXUS_ALLOWED_TARGETS: '10.0.0.0/8, ::1' }).allowedTargets, [
    '10.0.0.0/8',
    '::1/128',
  ]);
  t.deepEqual(config([], {}, { corsOrigins: ['https://a.example'] }).corsOrigins, ['https://a.example']);
  t.deepEqual(config([], { NEXUS_TRUSTED_PROXIES: '' }, { trustedProxies: ['10.0.0.1'] }).trustedProxies, []);
});

const refused: readonly [readonly string[], NodeJS.ProcessEnv, unknown, RegExp][] = [
  [['--prot', '1'], {}, undefined, /^unknown flag --prot; known are --api-host, .*--help$/],
  [['start'], {}, undefined, /^unknown flag start;/],
  [['--api-port'], {}, undefined, /^--api-port needs a value; allowed: an integer from 0 to 65535$/],
  [['--api-port', '1', '--api-port', '2'], {}, undefined, /^--api-port is given twice$/],
  [
    ['--api-port', '65536'],
    {},
    undefined,
    /^apiPort: "65536" \(--api-port\) is not allowed; allowed: an integer/,
  ],
  [['--api-port', '-1'], {}, undefined, /"-1"/],
  [['--api-port', '1e3'], {}, undefined, /"1e3"/],
  [['--api-host', 'a b'], {}, undefined, /^apiHost: "a b"/],
  [['--log', 'sqlite:x'], {}, undefined, /^log: "sqlite:x" .*file:DIR/],
  [['--log', 'file:a,'], {}, undefined, /^log: "file:a,"/],
  [['--log', 'redis://user:pass@'], {}, undefined, /^log: "redis:\/\/\*\*\*@"/],
  [['--log-level', 'loud'], {}, undefined, /one of fatal, error, warn, info, debug, trace, silent$/],
  [['--peers', 'tcp://b:5556'], {}, undefined, /^peers: tcp:\/\/b:5556 needs zmqCurveSecretKey/],
  [['--peers', 'tcp://127.0.0.1:*'], {}, undefined, /^peers: .*tcp:\/\/HOST:PORT/],
  [['--peers', 'tcp://127.0.0.1:1|short'], {}, undefined, /^peers: /],
  [['--peers', 'tcp://127.0.0.1:1'], { NEXUS_JWT_SECRET: secret }, undefined, /^peers: .*needs zmqCurve/],
  [[], { NEXUS_PLUGIN_TRUST: 'a=normal' }, undefined, /^pluginTrust: "a=normal" .*NAME=low or NAME=trusted/],
  [[], { NEXUS_PLUGIN_TRUST: '../a=low' }, undefined, /^pluginTrust: /],
  [[], { NEXUS_PLUGIN_INTEGRITY: 'signature' }, undefined, /^pluginIntegrity is signature and pluginKeys is/],
  [[], { NEXUS_PLUGIN_WATCHES: '1' }, undefined, /^unknown variable NEXUS_PLUGIN_WATCHES;/],
  [[], { NEXUS_API_PROT: '1' }, undefined, /^unknown variable NEXUS_API_PROT; known are NEXUS_API_HOST,/],
  [[], { NEXUS_API_HOST: '' }, undefined, /^apiHost: ""/],
  [[], { NEXUS_RATE_LIMIT_MAX: '0' }, undefined, /^rateLimitMax: "0"/],
  [[], { NEXUS_SNAPSHOT_EVERY_SEC: '0' }, undefined, /^snapshotEverySec: "0"/],
  [[], { NEXUS_ALLOWED_TARGETS: '10.0.0.0/33' }, undefined, /^allowedTargets: /],
  [[], { NEXUS_ALLOWED_TARGETS: 'localhost' }, undefined, /^allowedTargets: /],
  [[], { NEXUS_CORS_ORIGINS: 'https://a.example/' }, undefined, /^corsOrigins: /],
  [[], { NEXUS_CORS_ORIGINS: '*' }, undefined, /^corsOrigins: /],
  [
    [],
    { NEXUS_JWKS_URL: 'http://k.example/keys' },
    undefined,
    /^jwksUrl: .*https:\/\/…, or http:\/\/ to localhost/,
  ],
  [[], { NEXUS_JWKS_URL: 'http://127.0.0.1.k.example' }, undefined, /^jwksUrl: /],
  [[], { NEXUS_JWKS_URL: 'http://127.0.0.1@k.example' }, undefined, /^jwksUrl: /],
  [[], { NEXUS_JWKS_URL: 'https://ada:secret@k.example' }, undefined, /^jwksUrl: "https:\/\/\*\*\*@/],
  [[], { NEXUS_JWKS_URL: 'file:///etc/keys.json' }, undefined, /^jwksUrl: /],
  [[], { NEXUS_JWKS_FILE: '' }, undefined, /^jwksFile: .*a path/],
  [['--peers', 'tcp://127.0.0.1:1'], { NEXUS_JWKS_FILE: 'k.json' }, undefined, /^peers: .*needs zmqCurve/],
  [[], { NEXUS_ZMQ_CURVE_CLIENTS: 'c.json' }, undefined, /^zmqCurveClients is set and zmqCurveSecretKey/],
  [[], { NEXUS_ZMQ_COMMAND: 'tcp://*:5557' }, undefined, /^zmqCommand: .*loopback/],
  [
    [],
    { NEXUS_ZMQ_PUBLISH: 'tcp://0.0.0.0:5556' },
    undefined,
    /^zmqPublish: tcp:\/\/0\.0\.0\.0:5556 is no loopback/,
  ],
  [[], { NEXUS_ZMQ_COMMAND: 'tcp://127.0.0.999:1' }, undefined, /^zmqCommand: /],
  [[], { NEXUS_GRAPHQL_INTROSPECTION: 'no' }, undefined, /^graphqlIntrospection: "no" .*true or false$/],
  [[], {}, { graphqlDocumentsOnly: true }, /^graphqlDocumentsOnly is set and graphqlDocuments is not/],
  [[], { NEXUS_TLS_KEY: 'k.pem' }, undefined, /^tlsKey is set and tlsCert is not/],
  [[], {}, { apiProt: 1 }, /^unknown option in nexus\.config\.json: apiProt; known are apiHost,/],
  [[], {}, { acceptLog: 'x' }, /^unknown option in nexus\.config\.json: acceptLog/],
  [[], {}, { __proto__x: 1 }, /^unknown option/],
  [[], {}, { apiPort: 1.5 }, /^apiPort: 1\.5 \(nexus\.config\.json\)/],
  [[], {}, { apiHost: 7 }, /^apiHost: 7/],
  [[], {}, '[1]', /must hold one JSON object/],
  [[], {}, '{', /^nexus\.config\.json is not JSON: /],
];

for (const [argv, env, file, expected] of refused) {
  test(`refused: ${JSON.stringify([argv, env, file ?? null])}`, (t) => {
    t.regex(message(argv, env, file), expected);
  });
}

test('a short secret is refused, and no message shows a secret', (t) => {
  const short = 'S3CRET-S3CRET-S3CRET-S3CRET-31b';
  t.is(Buffer.byteLength(short), 31);
  const text = message([], { NEXUS_JWT_SECRET: short, NEXUS_ZMQ_CURVE_SECRET_KEY: short });
  t.regex(
    text,
    /jwtSecret: a value of 31 bytes \(NEXUS_JWT_SECRET\) is not allowed; allowed: at least 32 bytes/,
  );
  t.regex(text, /zmqCurveSecretKey: a value of 31 bytes/);
  t.false(text.includes('S3CRET'));
  t.is(config([], { NEXUS_JWT_SECRET: `${short}!` }).jwtSecret, `${short}!`);
});

test('every fault is told, one per line', (t) => {
  t.is(message(['--api-port', 'x', '--nope'], { NEXUS_LOG_LEVEL: 'x' }).split('\n').length, 3);
});

test("variables of the client, of tests and of an orchestrator are not the hub's", (t) => {
  const env = {
    NEXUS_URL: 'http://h',
    NEXUS_TOKEN: 't',
    NEXUS_LONG: '1',
    NEXUS_TEST_ESDB_URL: 'esdb://h',
    NEXUS_SERVICE_HOST: '10.0.0.1',
    NEXUS_SERVICE_PORT_HTTP: '80',
    NEXUS_PORT: 'tcp://10.0.0.1:80',
    NEXUS_PORT_80_TCP_ADDR: '10.0.0.1',
    NEXUS_DB_SERVICE_PORT: '1',
    NEXUS_PLUGIN_WEBHOOK_SIGNING_KEY: 'x',
    OTHER: 'x',
  };
  t.deepEqual(config([], env), config());
});

test('--help comes with a configuration and names every option, faults or not', (t) => {
  const parsed = parse(['--help'], { NEXUS_API_PORT: 'x', NEXUS_JWT_SECRET: secret });
  t.true(parsed.ok);
  const help = parsed.ok ? (parsed.help ?? '') : '';
  for (const name of optionNames) t.true(help.includes(`  ${name}  (`), name);
  t.false(help.includes(secret));
});

test('flags, variables and meanings are each told once', (t) => {
  for (const part of ['flag', 'env'] as const) {
    const spellings = optionNames.map((name) => options[name][part]).filter((spelling) => spelling !== null);
    t.is(new Set(spellings).size, spellings.length);
  }
  t.true(optionNames.every((name) => options[name].meaning.length > 0));
});

test('the table of docs/configuration.md is the table of the code', (t) => {
  const document = readFileSync(new URL('../docs/configuration.md', import.meta.url), 'utf8');
  t.true(document.includes(optionsMarkdown()), `docs/configuration.md must hold:\n${optionsMarkdown()}`);
});
