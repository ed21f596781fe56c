/** What a unary call of gRPC looks like on the wire. */

/** Not compressed, 13 bytes: the message of a call and of its answer. */
export const GRPC_MESSAGE = Buffer.from('\0\0\0\0\rHello, world!', 'latin1');

export const GRPC_HEADERS = 'content-type: application/grpc\r\nte: trailers\r\n';

/** `/package.Service/Method`, as calls of gRPC have it: others are not counted by their method. The end is how nghttpd knows its type. */
export const GRPC_PATH = '/bench.Echo/Unary.grpc';
