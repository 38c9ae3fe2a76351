/* LD_PRELOAD shim: makes any program linked to OpenSSL 1.1.1 or later write its TLS secrets to $SSLKEYLOGFILE.
 * FreeRDP 2 and xrdp have no option for it. Build: cc -shared -fPIC -o sslkeylog.so sslkeylog.c -ldl */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;
typedef struct ssl_method_st SSL_METHOD;
typedef struct ossl_lib_ctx_st OSSL_LIB_CTX;
typedef void keylog_callback(const SSL *, const char *);

/* One write per line with O_APPEND, so that lines of several threads do not mix. */
static void write_line(const SSL *ssl, const char *line) {
  const char *path = getenv("SSLKEYLOGFILE");
  char text[1024];
  (void)ssl;
  if (!path) return;
  int length = snprintf(text, sizeof text, "%s\n", line);
  int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (file < 0 || length < 0 || (size_t)length >= sizeof text) return;
  if (write(file, text, (size_t)length) != length) { /* a lost line only costs a key */ }
  close(file);
}

static void attach(SSL_CTX *context) {
  void (*set)(SSL_CTX *, keylog_callback *) = dlsym(RTLD_DEFAULT, "SSL_CTX_set_keylog_callback");
  if (!set) set = dlsym(RTLD_NEXT, "SSL_CTX_set_keylog_callback");
  if (set && context) set(context, write_line);
}

SSL_CTX *SSL_CTX_new(const SSL_METHOD *method) {
  SSL_CTX *(*original)(const SSL_METHOD *) = dlsym(RTLD_NEXT, "SSL_CTX_new");
  SSL_CTX *context = original(method);
  attach(context);
  return context;
}

SSL_CTX *SSL_CTX_new_ex(OSSL_LIB_CTX *library, const char *properties, const SSL_METHOD *method) {
  SSL_CTX *(*original)(OSSL_LIB_CTX *, const char *, const SSL_METHOD *) = dlsym(RTLD_NEXT, "SSL_CTX_new_ex");
  SSL_CTX *context = original(library, properties, method);
  attach(context);
  return context;
}
