/* The same loop in C: cc -O2 -o blocking_loop blocking_loop.c; ./blocking_loop PORT */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

int main(int argc, char **argv)
{
    static char in[65536], out[65536 + 32];
    struct sockaddr_in here = {.sin_family = AF_INET}, source;
    int sock = socket(AF_INET, SOCK_DGRAM, 0);

    if (argc != 2 || sock < 0)
        return 2;
    here.sin_port = htons((unsigned short)atoi(argv[1]));
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(sock, (struct sockaddr *)&here, sizeof here) < 0)
        return 1;
    for (;;) {
        socklen_t size = sizeof source;
        ssize_t length = recvfrom(sock, in, sizeof in, 0, (struct sockaddr *)&source, &size);
        struct timespec now;
        int prefix;

        if (length < 0)
            continue;
        clock_gettime(CLOCK_REALTIME, &now);
        prefix = snprintf(out, 32, "%lld ", now.tv_sec * 1000LL + now.tv_nsec / 1000000);
        memcpy(out + prefix, in, (size_t)length);
        sendto(sock, out, (size_t)(prefix + length), 0, (struct sockaddr *)&source, size);
    }
}
