/** What a unary call of gRPC looks like on the wire. */

/** Not compressed, 13 bytes: the message of a call and of its answer. */
export const GRPC_MESSAGE = Buffer.from('\0\0\0\0\rHello, world!', 'latin1');

export const GRPC_HEADERS = 'content-type: application/grpc\r\nte: trailers\r\n';
