// http-proxy, which the development servers of vite, webpack and others have
// inside, without `ws: true`: Upgrade is not handed on.
const { createProxyServer } = require('http-proxy')
const { createServer } = require('node:http')

const proxy = createProxyServer({ target: 'http://127.0.0.1:@HUB@' })
proxy.on('error', (error, request, response) => response.destroy?.())
createServer((request, response) => proxy.web(request, response)).listen(@PORT@, '127.0.0.1')
