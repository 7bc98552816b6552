import type { Json } from '../../../domain/event.ts';
import { isJsonArray, isJsonObject } from '../../../domain/json.ts';
import { jsonPointer } from '../../../domain/json-pointer.ts';
import { validate } from '../../core/validate.ts';
import { fault, invalidAt, ok, type Problem, type Result } from '../../errors.ts';
import { compileConfigSchema } from './config-schema.ts';

/** What a plugin is started with, and what of it must be shown to nobody. */
export type PluginConfig = { readonly config: Json; readonly secrets: readonly string[] };

/** The variable that holds the secret `name` of the plugin. */
export const secretVariable = (plugin: string, name: string): string =>
  `NEXUS_PLUGIN_${plugin}_${name}`.toUpperCase().replaceAll('-', '_');

const isSecretName = (name: Json | undefined): name is string =>
  typeof name === 'string' && /^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(name);

class SecretFault extends Error {
  readonly problem: Problem;
  constructor(found: Problem) {
    super(found.detail);
    this.problem = found;
  }
}

/** `{ "$secret": NAME }` becomes what the environment has. */
const withSecrets = (plugin: string, config: Json, env: NodeJS.ProcessEnv, secrets: string[]): Json => {
  const visit = (value: Json, path: readonly (string | number)[]): Json => {
    if (isJsonArray(value)) return value.map((item, index) => visit(item, [...path, index]));
    if (!isJsonObject(value)) return value;
    if (!Object.hasOwn(value, '$secret')) {
      return Object.fromEntries(
        Object.entries(value).map(([name, item]) => [name, visit(item, [...path, name])]),
      );
    }
    const { $secret: name } = value;
    if (!isSecretName(name) || Object.keys(value).length !== 1) {
      throw new SecretFault(
        invalidAt(jsonPointer(path), 'must be { "$secret": NAME }, NAME of letters, digits, _ and -'),
      );
    }
    const variable = secretVariable(plugin, name);
    const secret = env[variable];
    if (secret === undefined || secret === '') {
      throw new SecretFault(
        invalidAt(jsonPointer(path), `needs the environment variable ${variable} of the hub`),
      );
    }
    secrets.push(secret);
    return secret;
  };
  return visit(config, []);
};

/**
 * The configuration as the plugin gets it: secrets put in, then checked by the manifest's schema, whose defaults fill what is
 * absent. `invalid` with pointers into the configuration; no message shows a value.
 */
export const completeConfig = (
  plugin: string,
  configSchema: Json,
  config: Json,
  env: NodeJS.ProcessEnv,
): Result<PluginConfig> => {
  const schema = compileConfigSchema(configSchema);
  if (!schema.ok) return schema;
  const secrets: string[] = [];
  try {
    const whole = withSecrets(plugin, config, env, secrets);
    const checked = validate(schema.value, whole);
    if (!checked.ok) return checked;
    // What the schema makes of JSON is JSON.
    return ok({ config: checked.value as Json, secrets });
  } catch (error) {
    if (error instanceof SecretFault) return fault(error.problem);
    throw error;
  }
};

const minSecretLength = 4;

/** Blanks the secrets in what the plugin says. */
export const createRedaction = (secrets: readonly string[]) => {
  const known = secrets
    .filter((secret) => secret.length >= minSecretLength)
    .toSorted((a, b) => b.length - a.length);
  const text = (value: string): string => known.reduce((all, secret) => all.replaceAll(secret, '***'), value);
  const json = (value: Json): Json => {
    if (known.length === 0) return value;
    if (typeof value === 'string') return text(value);
    if (isJsonArray(value)) return value.map(json);
    if (!isJsonObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [text(name), json(item)]));
  };
  return { text, json };
};
