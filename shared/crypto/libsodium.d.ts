/** The raw library: functions take addresses in its memory, and 64-bit lengths as low and high half. */
declare module 'libsodium' {
  interface Libsodium {
    readonly HEAPU8: Uint8Array<ArrayBuffer>;
    readonly _malloc: (bytes: number) => number;
    readonly _crypto_aead_xchacha20poly1305_ietf_encrypt: (
      sealed: number,
      sealedLength: 0,
      message: number,
      messageLow: number,
      messageHigh: 0,
      aad: number,
      aadLow: number,
      aadHigh: 0,
      secretNonce: 0,
      nonce: number,
      key: number,
    ) => number;
    readonly _crypto_aead_xchacha20poly1305_ietf_decrypt: (
      message: number,
      messageLength: 0,
      secretNonce: 0,
      sealed: number,
      sealedLow: number,
      sealedHigh: 0,
      aad: number,
      aadLow: number,
      aadHigh: 0,
      nonce: number,
      key: number,
    ) => number;
    readonly _crypto_generichash: (
      digest: number,
      digestBytes: number,
      input: number,
      inputLow: number,
      inputHigh: 0,
      key: number,
      keyBytes: number,
    ) => number;
  }
  export default function load(): Promise<Libsodium>;
}
