# Varnish with its built-in rules: it knows no Upgrade; answers that say
# no-store are passed on as they come.
vcl 4.1;
backend hub {
    .host = "127.0.0.1";
    .port = "@HUB@";
}
