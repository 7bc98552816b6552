import { byId, element, prose, row, shownJson, table } from './dom.js';
import { read, whenAdmitted } from './session.js';

/* What /asyncapi.json says, for people. */

const nameOf = (reference) => reference.slice(reference.lastIndexOf('/') + 1);

/** A schema in a few words. */
const typeOf = (schema) => {
  if (schema === undefined || schema === true || Object.keys(schema).length === 0) return 'any JSON';
  if (schema.$ref !== undefined) return nameOf(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) {
    const shown = schema.enum.slice(0, 8).map((value) => JSON.stringify(value));
    return shown.join(' | ') + (schema.enum.length > shown.length ? ' | …' : '');
  }
  const alternatives = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (alternatives !== undefined) return alternatives.map(typeOf).join(' | ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items)}`;
  return Array.isArray(schema.type) ? schema.type.join(' | ') : (schema.type ?? 'any JSON');
};

const fieldsOf = (schema) => {
  const { properties = {}, required = [] } = schema;
  const rows = Object.entries(properties).map(([name, field]) =>
    row(
      element('code', {}, name),
      typeOf(field),
      required.includes(name) ? 'yes' : '',
      prose(
        [
          field.description,
          field.pattern,
          field.default === undefined ? undefined : `default ${JSON.stringify(field.default)}`,
        ]
          .filter((text) => text !== undefined)
          .join(' · '),
      ),
    ),
  );
  return rows.length === 0
    ? element('p', {}, typeOf(schema))
    : table(['field', 'type', 'required', ''], rows);
};

const messageOf = (message) => {
  const { name, summary, payload, examples = [] } = message;
  return element(
    'details',
    {},
    element('summary', {}, element('code', {}, name), ' ', prose(summary ?? '')),
    fieldsOf(payload),
    ...examples.map((example) => shownJson(example.payload)),
  );
};

const operationsOf = (document, channel, action) =>
  Object.values(document.operations).filter(
    (operation) => nameOf(operation.channel.$ref) === channel && operation.action === action,
  );

const messagesOf = (document, operations) =>
  [...new Set(operations.flatMap(({ messages }) => messages.map(({ $ref }) => nameOf($ref))))].map((name) =>
    messageOf(document.components.messages[name]),
  );

const group = (heading, messages) =>
  messages.length === 0 ? null : element('section', {}, element('h3', {}, heading), ...messages);

const channelOf = (document, [name, channel]) => {
  const { title, address, description, servers, parameters = {} } = channel;
  const shown = Object.entries(parameters).map(([parameter, { description: about }]) =>
    element('p', {}, element('code', {}, `{${parameter}}`), ` ${about}`),
  );
  const taken = operationsOf(document, name, 'receive');
  const replies = [...new Set(taken.flatMap(({ reply }) => reply.messages.map(({ $ref }) => nameOf($ref))))];
  return element(
    'article',
    { id: name },
    element('h2', {}, title),
    element(
      'p',
      {},
      element('code', {}, address ?? 'one socket'),
      ` · ${servers.map(({ $ref }) => nameOf($ref)).join(', ')}`,
    ),
    element('p', {}, prose(description)),
    ...shown,
    group('A client sends', messagesOf(document, taken)),
    group(
      'The hub answers',
      replies.map((reply) => messageOf(document.components.messages[reply])),
    ),
    group('The hub sends of itself', messagesOf(document, operationsOf(document, name, 'send'))),
  );
};

await whenAdmitted(async () => {
  const document_ = await read('/asyncapi.json');
  const { info, servers, channels, components } = document_;
  byId('content').replaceChildren(
    element('p', {}, prose(info.description)),
    table(
      ['server', 'protocol', 'address', ''],
      Object.entries(servers).map(([name, { protocol, variables }]) =>
        row(name, protocol, variables.address.default, prose(variables.address.description)),
      ),
    ),
    element(
      'nav',
      {},
      ...Object.entries(channels).map(([name, { title }]) => element('a', { href: `#${name}` }, title)),
    ),
    ...Object.entries(channels).map((channel) => channelOf(document_, channel)),
    element(
      'article',
      {},
      element('h2', {}, 'Schemas'),
      ...Object.entries(components.schemas).map(([name, schema]) =>
        element(
          'details',
          { id: `schema-${name}` },
          element('summary', {}, element('code', {}, name), ' ', prose(schema.description ?? '')),
          fieldsOf(schema),
        ),
      ),
    ),
  );
});
