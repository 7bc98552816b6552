import { type OptionName, optionNames, options } from './options.ts';

/** One value as it was given, and by what. */
export type Given = { readonly raw: unknown; readonly by: string };

export type Source = {
  readonly given: ReadonlyMap<OptionName, Given>;
  /** One sentence per option that is unknown, or given twice, or not readable at all. */
  readonly faults: readonly string[];
};

export const configFile = 'nexus.config.json';

/** Variables that are not the hub's: the client's, and those of the project's own tests. */
const otherVariables = new Set(['NEXUS_URL', 'NEXUS_TOKEN', 'NEXUS_LONG', 'NEXUS_SKIPS']);
/** Kubernetes puts these into every container beside a service whose name begins with `nexus`. */
const orchestrator = /^NEXUS(_[A-Z0-9]+)*_(SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP)(_[A-Z]+)?)$/;

/** Secrets of plugins: `NEXUS_PLUGIN_{PLUGIN}_{NAME}`. */
const pluginSecret = /^NEXUS_PLUGIN(_[A-Z0-9]+){2,}$/;

const isForeign = (variable: string): boolean =>
  otherVariables.has(variable) ||
  variable.startsWith('NEXUS_TEST_') ||
  variable === 'NEXUS_PORT' ||
  pluginSecret.test(variable) ||
  orchestrator.test(variable);

const namesBy = (source: 'env' | 'flag'): ReadonlyMap<string, OptionName> => {
  const names = new Map<string, OptionName>();
  for (const name of optionNames) {
    const spelling = options[name][source];
    if (spelling !== null) names.set(spelling, name);
  }
  return names;
};

const byFlag = namesBy('flag');
const byVariable = namesBy('env');
const inFile: ReadonlyMap<string, OptionName> = new Map(
  optionNames.filter((name) => options[name].file !== false).map((name) => [name, name]),
);

const unknown = (what: string, spelling: string, known: Iterable<string>): string =>
  `unknown ${what} ${spelling.slice(0, 100)}; known are ${[...known].join(', ')}`;

/** `--flag value` and `--flag=value`; `help` is set by `--help` and `-h`. */
export const readFlags = (argv: readonly string[]): Source & { readonly help: boolean } => {
  const given = new Map<OptionName, Given>();
  const faults: string[] = [];
  let help = false;
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index] ?? '';
    if (argument === '--help' || argument === '-h') {
      help = true;
      continue;
    }
    const equals = argument.indexOf('=');
    const flag = equals < 0 ? argument : argument.slice(0, equals);
    const name = byFlag.get(flag);
    if (name === undefined) {
      faults.push(unknown('flag', flag, [...byFlag.keys(), '--help']));
      // The word behind an unknown flag is most likely its value, and no second fault.
      if (equals < 0 && flag.startsWith('-') && argv[index + 1]?.startsWith('-') === false) index++;
      continue;
    }
    const raw = equals < 0 ? argv[++index] : argument.slice(equals + 1);
    if (raw === undefined) faults.push(`${flag} needs a value; allowed: ${options[name].kind.allowed}`);
    else if (given.has(name)) faults.push(`${flag} is given twice`);
    else given.set(name, { raw, by: flag });
  }
  return { given, faults, help };
};

export const readVariables = (env: NodeJS.ProcessEnv): Source => {
  const given = new Map<OptionName, Given>();
  const faults: string[] = [];
  for (const [variable, raw] of Object.entries(env)) {
    if (!variable.startsWith('NEXUS_') || raw === undefined) continue;
    const name = byVariable.get(variable);
    if (name !== undefined) given.set(name, { raw, by: variable });
    else if (!isForeign(variable)) faults.push(unknown('variable', variable, byVariable.keys()));
  }
  return { given, faults };
};

/** @param text undefined when there is no such file. */
export const readConfigFile = (text: string | undefined): Source => {
  const given = new Map<OptionName, Given>();
  const faults: string[] = [];
  if (text === undefined) return { given, faults };
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    return {
      given,
      faults: [`${configFile} is not JSON: ${error instanceof Error ? error.message : 'unreadable'}`],
    };
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    return { given, faults: [`${configFile} must hold one JSON object`] };
  }
  for (const [key, raw] of Object.entries(content)) {
    const name = inFile.get(key);
    if (name === undefined) faults.push(unknown(`option in ${configFile}:`, key, inFile.keys()));
    else given.set(name, { raw, by: configFile });
  }
  return { given, faults };
};
