/** Names under which a device keeps what it saw at check-in; the booth compares every manifest with them. */
export const pins = {
  roll: (meeting: string): string => `seen-roll/${meeting}`,
  server: (meeting: string): string => `seen-server-key/${meeting}`,
} as const;
