# Varnish that pipes WebSocket, and neither keeps nor queues anything else.
vcl 4.1;
backend hub {
    .host = "127.0.0.1";
    .port = "@HUB@";
    .first_byte_timeout = 90s;
    .between_bytes_timeout = 90s;
}
sub vcl_recv {
    if (req.http.Upgrade ~ "(?i)websocket") {
        return (pipe);
    }
    return (pass);
}
sub vcl_pipe {
    if (req.http.Upgrade) {
        set bereq.http.Upgrade = req.http.Upgrade;
        set bereq.http.Connection = "Upgrade";
    }
}
