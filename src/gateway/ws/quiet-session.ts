import type { RawData } from 'ws';
import {
  type Conversation,
  closeCodes,
  openConversation,
  type Session,
  type SessionOptions,
} from './session.ts';

/**
 * One client of /ws. What a conversation needs is most of the memory of a socket, and many sockets are opened and say
 * nothing: it is made with the first frame.
 */
export const openSession = (options: SessionOptions): Session => {
  const { socket, access, subject } = options;
  let conversation: Conversation | undefined;
  const stopWatching = access.watch(subject, ({ detail }) => socket.close(closeCodes.unauthorized, detail));

  const hearFirst = (data: RawData, isBinary: boolean): void => {
    stopWatching();
    socket.off('close', stopWatching);
    conversation = openConversation(options);
    conversation.hear(data, isBinary);
  };
  socket.once('message', hearFirst);
  socket.once('close', stopWatching);

  return {
    get paused() {
      return conversation?.paused === true;
    },
    drain: async () => {
      socket.off('message', hearFirst);
      await conversation?.drain();
    },
  };
};
