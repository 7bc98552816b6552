import { pluginNameSchema, shadowSchema } from '../../../command/plugin-schemas.ts';
import { plugin, pluginDone, pluginList, shadowReport } from '../answers/plugins.ts';
import { answer, type Parameter, type Section } from '../describe.ts';

const name: Parameter = { schema: pluginNameSchema, about: 'Its name.', example: 'audit-trail' };
const path = { name };
const done = { 200: answer('The plugin, as this node has it.', pluginDone, 'X-Nexus-Position') };

export const plugins: Section = {
  name: 'Plugins',
  about: 'Code of others that runs inside the hub, with what it was granted. For `plugins:admin`.',
  operations: {
    'GET /plugins': {
      id: 'listPlugins',
      summary: 'List plugins',
      notes: 'Those that were enabled, and those that stand in a folder of this node.',
      answers: { 200: answer('By name.', pluginList) },
    },
    'GET /plugins/{name}': {
      id: 'readPlugin',
      summary: 'Read how a plugin is',
      path,
      answers: { 200: answer('As this node has it.', plugin) },
      codes: ['not_found'],
    },
    'POST /plugins/{name}/enable': {
      id: 'enablePlugin',
      summary: 'Enable a plugin, or change what it is granted',
      notes:
        '`permissions` and `limits` that are left out are what the manifest asks for; `config` stays as it was. With `hash` no other content of the folder runs. A plugin that does not start is answered as `failed`.',
      path,
      bodies: [{ required: false, examples: { plain: {} } }],
      answers: done,
      codes: ['not_found', 'plugin_rejected', 'revision_conflict'],
    },
    'POST /plugins/{name}/reload': {
      id: 'reloadPlugin',
      summary: 'Take what the folder holds, or start it again',
      notes: 'The new version is started beside the old one, which goes on when that fails.',
      path,
      bodies: [{ required: false, examples: { plain: {} } }],
      answers: done,
      codes: ['not_found', 'plugin_rejected', 'revision_conflict'],
    },
    'POST /plugins/{name}/shadow': {
      id: 'shadowPlugin',
      summary: 'Try what the folder holds on what the running version was called for',
      notes: 'Nothing of what it wishes is carried out.',
      idempotencyKey: false,
      path,
      bodies: [{ schema: shadowSchema, required: false, examples: { plain: { minutes: 1 } } }],
      answers: { 200: answer('What the two did differently.', shadowReport) },
      codes: ['not_found', 'plugin_rejected'],
    },
    'POST /plugins/{name}/disable': {
      id: 'disablePlugin',
      summary: 'Disable a plugin',
      path,
      bodies: [{ required: false, examples: { plain: { reason: 'not needed' } } }],
      answers: done,
      codes: ['not_found', 'plugin_in_use', 'revision_conflict'],
    },
  },
};
