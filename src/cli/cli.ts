import { type ParseArgsConfig, parseArgs, stripVTControlCharacters } from 'node:util';
import { createClient } from './client.ts';
import { type Action, type Actions, CallFailed, type Options, UsageError } from './command.ts';
import { createOutput, type Surroundings } from './output.ts';

type Command = { readonly summary: string; readonly load: () => Promise<Actions> };

/** Each is one file, loaded when it is asked for. `start` is no client, and has its place in main.ts. */
const commands: Readonly<Record<string, Command>> = {
  state: {
    summary: 'reads, writes and watches keys of the state',
    load: async () => (await import('./state.ts')).stateActions,
  },
  snapshot: {
    summary: 'saves the state to a file, and loads it',
    load: async () => (await import('./snapshot.ts')).snapshotActions,
  },
  plugins: {
    summary: 'lists, enables, replaces, tries and makes plugins',
    load: async () => (await import('./plugins.ts')).pluginActions,
  },
  token: {
    summary: "makes a token, signed with the hub's jwtSecret",
    load: async () => (await import('./token.ts')).tokenActions,
  },
  'api-keys': {
    summary: 'makes, lists and revokes API keys',
    load: async () => (await import('./api-keys.ts')).apiKeyActions,
  },
  'revoke-token': {
    summary: 'revokes a token before it expires',
    load: async () => (await import('./revoke-token.ts')).revokeTokenActions,
  },
};

const endSignals = ['SIGINT', 'SIGTERM'] as const;

const common = {
  url: { type: 'string' },
  token: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsConfig['options'];

const commonHelp = `
  --url URL      the hub; NEXUS_URL, else http://127.0.0.1:8080
  --token TOKEN  who asks; NEXUS_TOKEN
  --json         machine-readable lines
`;

const usage = (): string => {
  const rows = Object.entries(commands).map(([name, { summary }]) => `  nexus ${name.padEnd(13)} ${summary}`);
  return `Usage: nexus COMMAND …

  nexus start         starts the hub: registry, message bus, versioned state and gateway over one event log
${rows.join('\n')}

\`nexus COMMAND --help\` says more of each.
`;
};

const formOf = (command: string, name: string, { usage: words }: Action): string =>
  ['nexus', command, name, words].filter((part) => part !== '').join(' ');

const helpOf = (command: string, actions: Actions): string => {
  const rows = Object.entries(actions).map(
    ([name, action]) => `  ${formOf(command, name, action)}\n      ${action.summary}\n`,
  );
  return `Usage:\n${rows.join('')}${commonHelp}`;
};

const wrong = (message: string, help: string, { stderr }: Surroundings): number => {
  stderr.write(`nexus: ${oneLine(message)}\n\n${help}`);
  return 2;
};

/** What others have worded may hold anything: it stays one line, and moves no cursor. */
const oneLine = (text: string): string =>
  stripVTControlCharacters(text)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();

/**
 * Runs one command of the command line; resolves with the exit code: 0, 1 for a call that failed (one line on stderr), 2 for
 * wrong usage (with help).
 */
export const runCommand = async (
  name: string | undefined,
  argv: readonly string[],
  around: Surroundings = process,
): Promise<number> => {
  const { stdout, stderr } = around;
  if (name === 'help' || name === '--help' || name === '-h') {
    stdout.write(usage());
    return 0;
  }
  if (name === undefined) return wrong('a command is missing', usage(), around);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) return wrong(`there is no command ${JSON.stringify(name)}`, usage(), around);
  const actions = await command.load();
  const help = helpOf(name, actions);
  // Whoever reads no further than it needs (`| head`) is no fault.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  try {
    return await runAction(name, actions, argv, help, around);
  } catch (error) {
    if (error instanceof UsageError) return wrong(error.message, help, around);
    if (error instanceof CallFailed) {
      stderr.write(`nexus: ${oneLine(error.message)}\n`);
      return 1;
    }
    throw error;
  }
};

const runAction = async (
  name: string,
  actions: Actions,
  argv: readonly string[],
  help: string,
  around: Surroundings,
): Promise<number> => {
  const { stdout, env } = around;
  const [first = ''] = argv;
  const named = Object.hasOwn(actions, first);
  const action = named ? actions[first] : actions[''];
  if ((first === '--help' || first === '-h') && (action === undefined || Object.keys(actions).length > 1)) {
    stdout.write(help);
    return 0;
  }
  if (action === undefined) {
    throw new UsageError(`nexus ${name} is followed by one of ${Object.keys(actions).join(', ')}`);
  }
  const { words, options } = parse(named ? argv.slice(1) : argv, action);
  if (options.help === true) {
    stdout.write(`Usage: ${formOf(name, named ? first : '', action)}\n${action.summary}\n${commonHelp}`);
    return 0;
  }
  const [fewest, most] = action.words;
  if (words.length < fewest || words.length > most)
    throw new UsageError(`it is used so: ${formOf(name, named ? first : '', action)}`);
  const { NEXUS_URL, NEXUS_TOKEN } = env;
  const url = textOr(options.url, NEXUS_URL) ?? 'http://127.0.0.1:8080';
  const ending = new AbortController();
  const end = (): void => ending.abort();
  for (const signal of endSignals) process.once(signal, end);
  const output = createOutput(around);
  try {
    await action.run({
      words,
      options,
      json: options.json === true,
      client: createClient(url, textOr(options.token, NEXUS_TOKEN), ending.signal),
      output,
      env,
      signal: ending.signal,
    });
  } finally {
    for (const signal of endSignals) process.off(signal, end);
    output.endProgress();
  }
  return 0;
};

const textOr = (option: Options[string], variable: string | undefined): string | undefined => {
  const value = typeof option === 'string' ? option : variable;
  return value === '' ? undefined : value;
};

const parse = (
  args: readonly string[],
  action: Action,
): { readonly words: readonly string[]; readonly options: Options } => {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...action.options, ...common },
      allowPositionals: true,
      strict: true,
    });
    const options: Record<string, string | boolean | readonly string[] | undefined> = {};
    for (const [name, value] of Object.entries(values))
      options[name] = Array.isArray(value) ? value.filter((item) => typeof item === 'string') : value;
    return { words: positionals, options };
  } catch (error) {
    // What parseArgs refuses is told in the first sentence; the others advise programmers.
    if (error instanceof TypeError)
      throw new UsageError(error.message.split('. ', 1)[0] ?? '', { cause: error });
    throw error;
  }
};
