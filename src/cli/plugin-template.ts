import type { HookName } from '../../domain/plugin/manifest.ts';

/** What the template of one hook is made of: a handler, and a test of it. */
type HookTemplate = {
  readonly match: string;
  /** Lines of the body of `initialize`. */
  readonly handler: readonly string[];
  /** Name of the test, and its lines. */
  readonly claim: string;
  readonly steps: readonly string[];
  /** Functions of the test kit that the lines use. */
  readonly uses: readonly string[];
  /** Lines of `openPluginTest`'s options. */
  readonly options?: readonly string[];
};

const echo = `services: { 'example-echo': (_method, data) => data },`;

const templates = (name: string): Readonly<Record<HookName, HookTemplate>> => ({
  before_publish: {
    match: 'example.>',
    handler: [
      "hooks.register('before_publish', ({ payload }) =>",
      '  payload === null ? { refuse: config.reason } : undefined,',
      ');',
    ],
    claim: 'a message without a payload is refused, any other one is published',
    steps: [
      "await plugin.when(publish('example.created', null)).thenRefused({ reason: 'there is nothing in it' });",
      "await plugin.when(publish('example.created', 1)).thenPublished({ topic: 'example.created', payload: 1 });",
    ],
    uses: ['publish'],
  },
  after_publish: {
    match: 'example.>',
    handler: [
      "hooks.register('after_publish', async ({ topic }) => {",
      `  await state.set(\`\${state.prefix}last-topic\`, topic);`,
      '});',
    ],
    claim: 'the topic of the last message is kept',
    steps: [
      `await plugin.when(publish('example.created', 1)).thenState('plugin/${name}/last-topic', 'example.created');`,
    ],
    uses: ['publish'],
  },
  before_state_change: {
    match: 'example/*',
    handler: [
      "hooks.register('before_state_change', ({ operation, value }) =>",
      "  operation === 'set' && value === null ? { refuse: config.reason } : undefined,",
      ');',
    ],
    claim: 'null is no value of a key',
    steps: [
      "await plugin.when(set('example/key', null)).thenRefused({ reason: 'there is nothing in it' });",
      "await plugin.when(set('example/key', 1)).thenState('example/key', 1);",
    ],
    uses: ['set'],
  },
  after_state_change: {
    match: 'example/*',
    handler: [
      "hooks.register('after_state_change', async ({ key }) => {",
      `  await state.set(\`\${state.prefix}last-key\`, key);`,
      '});',
    ],
    claim: 'the key that was changed last is kept',
    steps: [`await plugin.when(set('example/key', 1)).thenState('plugin/${name}/last-key', 'example/key');`],
    uses: ['set'],
  },
  before_service_register: {
    match: 'example-*',
    handler: [
      "hooks.register('before_service_register', ({ service }) =>",
      "  service.version === '0.0.0' ? { refuse: config.reason } : undefined,",
      ');',
    ],
    claim: 'a service without a version is refused',
    steps: [
      "const unnamed = register({ name: 'example-service', version: '0.0.0' });",
      "await plugin.when(unnamed).thenRefused({ reason: 'there is nothing in it' });",
      "await plugin.when(register({ name: 'example-service' })).thenAccepted();",
    ],
    uses: ['register'],
  },
  before_service_invoke: {
    match: 'example-*',
    handler: [
      "hooks.register('before_service_invoke', ({ data }) =>",
      '  data === null ? { refuse: config.reason } : undefined,',
      ');',
    ],
    claim: 'a call without data is refused, any other one is made',
    steps: [
      "await plugin.when(invoke('example-echo', 'run', null)).thenRefused({ reason: 'there is nothing in it' });",
      "await plugin.when(invoke('example-echo', 'run', 1)).thenAnswered(1);",
    ],
    uses: ['invoke'],
    options: [echo],
  },
  after_service_invoke: {
    match: 'example-*',
    handler: [
      "hooks.register('after_service_invoke', async ({ method, outcome }) => {",
      `  await state.set(\`\${state.prefix}last-call\`, { method, outcome });`,
      '  return undefined;',
      '});',
    ],
    claim: 'the last call and its outcome are kept',
    steps: [
      "const outcome = plugin.when(invoke('example-echo', 'run', 1));",
      `await outcome.thenState('plugin/${name}/last-call', { method: 'run', outcome: 'ok' });`,
    ],
    uses: ['invoke'],
    options: [echo],
  },
  on_request: {
    match: '/state/*',
    handler: [
      "hooks.register('on_request', ({ query }) =>",
      "  query.includes('forbidden')",
      '    ? { refuse: config.reason }',
      `    : { change: { headers: { 'x-${name}': 'seen' } } },`,
      ');',
    ],
    claim: 'a request is refused by its query, any other answer has a header',
    steps: [
      "await plugin.when(request('GET', '/state/key?forbidden=1')).thenRefused();",
      `await plugin.when(request('GET', '/state/key')).thenHeaders({ 'x-${name}': 'seen' });`,
    ],
    uses: ['request'],
  },
});

const usesState: ReadonlySet<HookName> = new Set([
  'after_publish',
  'after_state_change',
  'after_service_invoke',
]);

const indent = (lines: readonly string[], by: number): string =>
  lines.map((line) => (line === '' ? '' : ' '.repeat(by) + line)).join('\n');

const entryText = (name: string, hooks: readonly HookName[], parts: readonly HookTemplate[]): string => {
  const keeps = hooks.some((hook) => usesState.has(hook));
  const refuses = hooks.some((hook) => !usesState.has(hook));
  const used = [...(refuses ? ['config'] : []), 'hooks', 'log', ...(keeps ? ['state'] : [])];
  return `import type { PluginContext } from 'nexus-integration-core/plugin';

type Config = { readonly reason: string };

export const initialize = ({ ${used.join(', ')} }: PluginContext<Config>): void => {
${parts.map(({ handler }) => indent(handler, 2)).join('\n')}
  log.info('${name} runs');
};

export const shutdown = (): void => {
  // What was begun and must be ended before another version takes over.
};
`;
};

const manifestText = (name: string, hooks: readonly HookName[], parts: readonly HookTemplate[]): string => {
  const declared = hooks.map((hook, index) => [
    hook,
    { match: [parts[index]?.match ?? ''], order: 0, timeoutMs: 1_000, onFailure: 'skip' },
  ]);
  const manifest = {
    name,
    version: '0.1.0',
    description: `What ${name} is for`,
    entry: 'index.ts',
    configSchema: {
      type: 'object',
      properties: { reason: { type: 'string', maxLength: 200, default: 'there is nothing in it' } },
      additionalProperties: false,
    },
    permissions: { hooks: Object.fromEntries(declared) },
    limits: { memoryMb: 32 },
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
};

const testText = (name: string, parts: readonly HookTemplate[]): string => {
  const uses = [...new Set(['openPluginTest', ...parts.flatMap((part) => part.uses)])].sort();
  const options = [...new Set(parts.flatMap((part) => part.options ?? []))];
  const cases = parts.map(({ claim, steps }) => `test('${claim}', async () => {\n${indent(steps, 2)}\n});\n`);
  const opened =
    options.length === 0
      ? 'await openPluginTest({ folder: import.meta.dirname });'
      : `await openPluginTest({\n${indent(['folder: import.meta.dirname,', ...options], 2)}\n});`;
  return `import { after, test } from 'node:test';
import { ${uses.join(', ')} } from 'nexus-integration-core/plugin-test';

/** One hub for all tests of ${name}. */
const plugin = ${opened}
after(() => plugin.close());

${cases.join('\n')}`;
};

const tsconfigText = (): string =>
  `${JSON.stringify(
    {
      compilerOptions: {
        target: 'es2024',
        lib: ['es2024', 'esnext.iterator', 'esnext.collection', 'esnext.disposable'],
        module: 'esnext',
        moduleResolution: 'bundler',
        types: [],
        strict: true,
        noUncheckedIndexedAccess: true,
        exactOptionalPropertyTypes: true,
        noImplicitOverride: true,
        erasableSyntaxOnly: true,
        verbatimModuleSyntax: true,
        allowImportingTsExtensions: true,
        skipLibCheck: true,
        noEmit: true,
      },
      include: ['**/*.ts'],
    },
    null,
    2,
  )}\n`;

const readmeText = (name: string, hooks: readonly HookName[]): string => `# ${name}

What it is for: …

It fills ${hooks.map((hook) => `\`${hook}\``).join(', ')}.

| config | default | |
|---|---|---|
| \`reason\` | \`there is nothing in it\` | what those are told that it refuses |

\`\`\`sh
npx nexus plugins enable ${name}
\`\`\`
`;

/** The files of a new plugin by name. @param hooks at least one. */
export const pluginTemplate = (
  name: string,
  hooks: readonly HookName[],
): Readonly<Record<string, string>> => {
  const all = templates(name);
  const parts = hooks.map((hook) => all[hook]);
  return {
    'plugin.json': manifestText(name, hooks, parts),
    'index.ts': entryText(name, hooks, parts),
    'index.test.ts': testText(name, parts),
    'tsconfig.json': tsconfigText(),
    'README.md': readmeText(name, hooks),
  };
};
