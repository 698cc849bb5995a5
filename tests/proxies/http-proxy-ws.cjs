// http-proxy with WebSocket, as `ws: true` does it.
const { createProxyServer } = require('http-proxy')

createProxyServer({ target: 'http://127.0.0.1:@HUB@', ws: true })
  .on('error', (error, request, response) => response.destroy())
  .listen(@PORT@, '127.0.0.1')
