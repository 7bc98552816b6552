/** The reference of hook calls: a bare child of Node that hands back what it is sent over Node's own channel. */
process.on('message', ({ id, input }: { readonly id: number; readonly input: unknown }) => {
  process.send?.({ id, input });
});
process.send?.('up');
