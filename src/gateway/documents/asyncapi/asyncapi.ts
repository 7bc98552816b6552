import * as z from 'zod';
import { topicSchema } from '../../../command/catalog.ts';
import { stateKeySchema } from '../../../command/state-schemas.ts';
import { version } from '../../../version.ts';
import { position } from '../answers/common.ts';
import { message, messageFields } from '../answers/messages.ts';
import { stateChange } from '../answers/state.ts';
import { componentsOf, type JsonSchema, jsonSchemaOf } from '../json-schema.ts';
import { type ClientFrame, clientFrames, mutationFrames } from './client-frames.ts';
import { hubFrames, pushedFrames } from './hub-frames.ts';

const description = `What is not a request and its answer: WebSocket, server-sent events and ZeroMQ. Each matching item comes once and in log
order, from any place that is still kept; who falls behind is fed from the log at its own pace. REST is described by \`/openapi.json\`.`;

const bearer = [{ $ref: '#/components/securitySchemes/bearer' }];
const curve = [{ $ref: '#/components/securitySchemes/curve' }];
const host = (what: string, byDefault: string): JsonSchema => ({
  host: '{address}',
  variables: { address: { default: byDefault, description: `Where ${what} listens.` } },
});

const published = z.object({
  ...messageFields,
  epoch: z.string().describe('New each time the hub starts.'),
  prevPosition: position
    .nullable()
    .describe('Of the message before on the same topic: whoever has not seen it has missed some.'),
});
const heartbeat = z.object({ epoch: z.string(), position });

const example = (payload: unknown): JsonSchema => ({ payload });

const clientMessage = (name: string, { about, schema, examples }: ClientFrame): JsonSchema => ({
  name,
  title: name,
  summary: about,
  contentType: 'application/json',
  payload: jsonSchemaOf(schema),
  examples: examples.map(example),
});
const plainMessage = (name: string, about: string, schema: z.ZodType): JsonSchema => ({
  name,
  title: name,
  summary: about,
  contentType: 'application/json',
  payload: jsonSchemaOf(schema),
});

const clientName = (type: string): string => `client.${type}`;
const hubName = (type: string): string => `hub.${type}`;
const inComponents = (name: string): JsonSchema => ({ $ref: `#/components/messages/${name}` });
const inChannel = (channel: string, name: string): JsonSchema => ({
  $ref: `#/channels/${channel}/messages/${name}`,
});
const listed = (names: readonly string[]): JsonSchema =>
  Object.fromEntries(names.map((name) => [name, inComponents(name)]));

/** The operations by which clients send `frames` on `channel`, each with what comes back. */
const sending = (channel: string, frames: Readonly<Record<string, ClientFrame>>): JsonSchema =>
  Object.fromEntries(
    Object.entries(frames).map(([type, { about, replies }]) => [
      `${channel}.${type}`,
      {
        action: 'receive',
        title: type,
        summary: about,
        channel: { $ref: `#/channels/${channel}` },
        messages: [inChannel(channel, clientName(type))],
        reply: {
          channel: { $ref: `#/channels/${channel}` },
          messages: [...replies, 'error'].map((name) => inChannel(channel, hubName(name))),
        },
      },
    ]),
  );

const pushing = (channel: string, names: readonly string[], summary: string): JsonSchema => ({
  action: 'send',
  title: channel,
  summary,
  channel: { $ref: `#/channels/${channel}` },
  messages: names.map((name) => inChannel(channel, name)),
});

const tail = (address: string, name: string, about: string, parameters: JsonSchema = {}): JsonSchema => ({
  address,
  title: `GET ${address}`,
  description: `${about} \`GET\` with \`Accept: text/event-stream\`; the id of each event is its position, and \`Last-Event-ID\` resumes behind it.`,
  servers: [{ $ref: '#/servers/http' }],
  parameters,
  messages: listed([name]),
  bindings: { http: {} },
});

const parameterOf = (about: string, schema: z.ZodType, examples: readonly string[]): JsonSchema => {
  const { pattern, maxLength } = jsonSchemaOf(schema);
  const rule = pattern === undefined ? `${maxLength} characters at most` : `${pattern}`;
  return { description: `${about} (${rule})`, examples };
};

/** Builds the document anew; the same for every hub of this version. */
export const asyncapiDocument = async (): Promise<JsonSchema> => {
  const frameNames = [...Object.keys(clientFrames).map(clientName), ...Object.keys(hubFrames).map(hubName)];
  const mutations = Object.keys(mutationFrames);
  const mutationReplies = new Set(Object.values(mutationFrames).flatMap(({ replies }) => replies));
  const messages = {
    ...Object.fromEntries(
      Object.entries(clientFrames).map(([type, frame]) => [clientName(type), clientMessage(type, frame)]),
    ),
    ...Object.fromEntries(
      Object.entries(hubFrames).map(([type, { about, schema }]) => [
        hubName(type),
        plainMessage(type, about, schema),
      ]),
    ),
    message: plainMessage('message', 'A message of the bus.', message),
    stateChange: plainMessage('stateChange', 'A key has changed.', stateChange),
    published: plainMessage('published', 'The second of two frames; the first is the topic.', published),
    heartbeat: plainMessage('heartbeat', 'Every message up to `position` was sent.', heartbeat),
  };
  const key = parameterOf('A state key, percent-encoded', stateKeySchema, ['app_config']);
  const topic = parameterOf('The topic', topicSchema, ['orders.created']);
  return {
    asyncapi: '3.1.0',
    id: 'urn:nexus:integration-core',
    info: {
      title: 'NEXUS Integration Core',
      version,
      description,
      license: { name: 'MIT', url: 'https://spdx.org/licenses/MIT.html' },
      tags: [{ name: 'websocket' }, { name: 'server-sent events' }, { name: 'zeromq' }],
    },
    defaultContentType: 'application/json',
    servers: {
      ws: { ...host('the hub', 'localhost:8080'), protocol: 'ws', security: bearer },
      http: { ...host('the hub', 'localhost:8080'), protocol: 'http', security: bearer },
      zmqPublish: {
        ...host('the publish socket (XPUB, option `zmqPublish`)', '127.0.0.1:5556'),
        protocol: 'zmq',
        security: curve,
      },
      zmqCommand: {
        ...host('the command socket (ROUTER, option `zmqCommand`)', '127.0.0.1:5557'),
        protocol: 'zmq',
        security: curve,
      },
    },
    channels: {
      socket: {
        address: '/ws',
        title: 'The WebSocket',
        description:
          'JSON text frames, subprotocol `nexus.v1`; the token in the header, or as `bearer.TOKEN` beside it.',
        servers: [{ $ref: '#/servers/ws' }],
        messages: listed(frameNames),
        bindings: { ws: { method: 'GET' } },
      },
      eventTail: tail('/events', 'message', 'Messages of a pattern (`?topic=`), live.'),
      stateTail: tail('/state', 'stateChange', 'Changes of the keys of a prefix (`?prefix=`), live.'),
      stateKeyTail: tail('/state/{key}', 'stateChange', 'Changes of one key, live.', { key }),
      topic: {
        address: '{topic}',
        title: 'A topic',
        description:
          'A SUB socket subscribes by prefix. ZeroMQ drops what is not taken: read a gap with `GET /events`.',
        servers: [{ $ref: '#/servers/zmqPublish' }],
        parameters: { topic },
        messages: listed(['published']),
      },
      heartbeat: {
        address: '$nexus.heartbeat',
        title: 'The heartbeat of the publish socket',
        description: 'Each second, and at once when somebody subscribes to it.',
        servers: [{ $ref: '#/servers/zmqPublish' }],
        messages: listed(['heartbeat']),
      },
      commands: {
        address: null,
        title: 'The command socket',
        description: 'A DEALER or REQ sends one frame and gets one.',
        servers: [{ $ref: '#/servers/zmqCommand' }],
        messages: listed([...mutations.map(clientName), ...[...mutationReplies, 'error'].map(hubName)]),
      },
    },
    operations: {
      ...sending('socket', clientFrames),
      'socket.push': pushing('socket', pushedFrames.map(hubName), 'What comes of itself.'),
      'eventTail.push': pushing('eventTail', ['message'], 'Each message.'),
      'stateTail.push': pushing('stateTail', ['stateChange'], 'Each change.'),
      'stateKeyTail.push': pushing('stateKeyTail', ['stateChange'], 'Each change.'),
      'topic.push': pushing('topic', ['published'], 'Each message.'),
      'heartbeat.push': pushing('heartbeat', ['heartbeat'], 'How far the socket is.'),
      ...sending('commands', mutationFrames),
    },
    components: {
      messages,
      schemas: await componentsOf(messages),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'Needed when authentication is on.' },
        curve: {
          type: 'asymmetricEncryption',
          description: 'CURVE (ZeroMQ RFC 26) with known keys; none on loopback addresses without keys.',
        },
      },
    },
  };
};
