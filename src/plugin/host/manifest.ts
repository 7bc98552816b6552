import { valid, validRange } from 'semver';
import * as z from 'zod';
import { defaultLimits, isPluginName, type Manifest } from '../../../domain/plugin/manifest.ts';
import { pluginLimitsSchema, requestedPermissionsSchema } from '../../command/plugin-schemas.ts';
import { anyJson } from '../../command/state-schemas.ts';
import { validate } from '../../core/validate.ts';
import { fault, invalid, ok, problem, type Result, within } from '../../errors.ts';
import { parseJson } from '../../gateway/json.ts';
import { given } from '../../given.ts';
import { compileConfigSchema } from './config-schema.ts';
import type { PluginFiles } from './folder.ts';

export const manifestFile = 'plugin.json';

const maxManifestBytes = 65_536;
const maxDependencies = 32;

/** Below the folder, with `/`: neither `..` nor an absolute path reaches anything, as only what was read is looked at. */
const entry = z
  .string()
  .max(256)
  .regex(
    /^[\w.@-]+(\/[\w.@-]+)*\.(ts|mts|js|mjs)$/,
    'must be the path of a .ts, .mts, .js or .mjs file in the folder',
  );

const versionText = z
  .string()
  .max(64)
  .refine((text) => valid(text) === text, 'must be a semantic version such as 1.0.0');

const range = z
  .string()
  .min(1)
  .max(128)
  .refine((text) => validRange(text) !== null, 'must be a range of semantic versions such as ^1.0.0');

const manifestSchema = z.strictObject({
  name: z.string().refine(isPluginName, 'must match [a-z][a-z0-9-]{0,63}'),
  version: versionText,
  description: z.string().max(1_024).default(''),
  entry: entry.default('index.ts'),
  configSchema: anyJson.default({ type: 'object', properties: {}, additionalProperties: false }),
  permissions: requestedPermissionsSchema.prefault({}),
  limits: pluginLimitsSchema.default({}),
  dependencies: z
    .record(z.string().refine(isPluginName, 'must match [a-z][a-z0-9-]{0,63}'), range)
    .refine((all) => Object.keys(all).length <= maxDependencies, `has more than ${maxDependencies} entries`)
    .default({}),
});

const completed = (json: unknown): Result<Manifest> => {
  const checked = validate(manifestSchema, json);
  if (!checked.ok) return checked;
  return ok({ ...checked.value, limits: { ...defaultLimits, ...given(checked.value.limits) } });
};

/**
 * `plugin.json` of the folder, complete. `plugin_rejected` without one, `invalid` with a pointer per fault.
 *
 * @param name of the folder: the manifest's must be the same.
 */
export const readManifest = (name: string, files: PluginFiles['files']): Result<Manifest> => {
  const content = files.get(manifestFile);
  if (content === undefined || content.length > maxManifestBytes) {
    const why = content === undefined ? 'is missing' : `has more than ${maxManifestBytes} bytes`;
    return fault(
      problem('plugin_rejected', `${manifestFile} of ${name} ${why}`, { plugin: name, reason: 'manifest' }),
    );
  }
  const json = parseJson(content);
  if (!json.ok) return invalid('', `${manifestFile} of ${name}: ${json.problem.detail}`);
  const complete = completed(json.value);
  if (!complete.ok) return complete;
  const { value: manifest } = complete;
  if (manifest.name !== name) return invalid('/name', `must be ${name}, as the folder is called`);
  if (!files.has(manifest.entry))
    return invalid('/entry', `is ${manifest.entry}, which is not in the folder`);
  if (Object.hasOwn(manifest.dependencies, name))
    return invalid(`/dependencies/${name}`, 'is the plugin itself');
  const schema = compileConfigSchema(manifest.configSchema);
  if (!schema.ok) return fault(within('/configSchema', schema.problem));
  return ok(manifest);
};

/** The manifest of a version that was kept; undefined when this hub would not take it any more. */
export const manifestOfKept = (name: string, json: unknown): Manifest | undefined => {
  const complete = completed(json);
  return complete.ok && complete.value.name === name ? complete.value : undefined;
};
