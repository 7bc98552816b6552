import { curveKeyPair, Dealer, Subscriber } from 'zeromq';

export type KeyPair = { readonly publicKey: string; readonly secretKey: string };
export type Answer = Readonly<Record<string, unknown>>;

export const heartbeatTopic = '$nexus.heartbeat';
export const makeKeys = (): KeyPair => curveKeyPair();

export const parseFrame = (frame: Buffer | undefined): Answer => JSON.parse(String(frame)) as Answer;

/** Options of a client with these keys; none of a client without. */
export const curveOptions = (client: KeyPair | undefined, server: KeyPair | undefined) =>
  client === undefined || server === undefined
    ? {}
    : {
        curvePublicKey: client.publicKey,
        curveSecretKey: client.secretKey,
        curveServerKey: server.publicKey,
      };

export type Heard = { readonly topic: string; readonly body: Answer };

/** A subscriber that is known to be connected: its first heartbeat has come, and asks for no more of them. */
export const openSubscriber = async (
  endpoint: string,
  prefixes: readonly string[],
  options: {
    readonly client?: KeyPair;
    readonly server?: KeyPair;
    /** Messages that libzmq takes for it before it reads them; 1,000 unless given. */
    readonly receiveHighWaterMark?: number;
  } = {},
) => {
  const { client, server, receiveHighWaterMark = 1_000 } = options;
  const socket = new Subscriber({ linger: 0, receiveHighWaterMark, ...curveOptions(client, server) });
  // In this order: when the heartbeat comes, the hub knows the prefixes too.
  socket.subscribe(...prefixes, heartbeatTopic);
  socket.connect(endpoint);
  const receive = async (): Promise<Heard> => {
    const [topic, body] = await socket.receive();
    return { topic: String(topic), body: parseFrame(body) };
  };
  // Whatever the hub had to tell meanwhile.
  const early: Heard[] = [];
  for (let heard = await receive(); heard.topic !== heartbeatTopic; heard = await receive())
    early.push(heard);
  const next = async (): Promise<Heard> => {
    for (;;) {
      const heard = early.shift() ?? (await receive());
      if (heard.topic !== heartbeatTopic) return heard;
    }
  };
  if (!prefixes.includes(heartbeatTopic)) socket.unsubscribe(heartbeatTopic);
  return { socket, next, close: () => socket.close() };
};

export const openDealer = (
  endpoint: string,
  keys: { readonly client?: KeyPair; readonly server?: KeyPair } = {},
) => {
  const socket = new Dealer({ linger: 0, ...curveOptions(keys.client, keys.server) });
  socket.connect(endpoint);
  return {
    socket,
    ask: async (frame: unknown): Promise<Answer> => {
      await socket.send(JSON.stringify(frame));
      return parseFrame((await socket.receive())[0]);
    },
    close: () => socket.close(),
  };
};
