// Package stream is the vocabulary of XML streams: headers, stream errors,
// framing on TCP and on WebSocket, names of the elements negotiated on them.
//
// Specifications: RFC 6120 §4 (streams, headers §4.7, namespaces §4.8, errors
// §4.9), RFC 7395 §3 (WebSocket framing), XEP-0478 (announced limits).
//
// Called by the edges, which read headers with ReadHeader and write with a
// Framing; im/session and im/deliver end connections with an *Error.
//
// It has no tables, goroutines, locks or sockets, and decides nothing about
// who may connect or log in.
package stream
