# Varnish that takes every answer whole before it hands it on.
vcl 4.1;
backend hub {
    .host = "127.0.0.1";
    .port = "@HUB@";
}
sub vcl_recv {
    return (pass);
}
sub vcl_backend_response {
    set beresp.do_stream = false;
}
