const nothing = () => {};
/** The SDK writes to the console where it has no logger; a warning of its may quote an address. */
export const silentLogger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** The same for every client of the SDK. `timeoutMs`: from request to answer, and how long a socket may be silent. */
export function awsClientOptions(options: { maxSockets: number; timeoutMs: number; maxAttempts: number }) {
  const agent = { keepAlive: true, maxSockets: options.maxSockets };
  return {
    maxAttempts: options.maxAttempts,
    logger: silentLogger,
    requestHandler: {
      logger: silentLogger,
      connectionTimeout: 2_000,
      requestTimeout: options.timeoutMs,
      socketTimeout: options.timeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
  };
}
