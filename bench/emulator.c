/* A link between two network namespaces, worse than the machine's own.
 *
 * One process, one TUN device in each namespace. What one device's kernel sends is
 * read here, pushed through a bottleneck with a drop-tail queue, lost or delayed,
 * and written to the other device:
 *
 *   queue (drop-tail, in ms of the rate) -> rate -> loss -> delay + jitter -> out
 *
 * Loss comes after the bottleneck, as on a radio: a lost packet has used its time
 * on the link. Jitter keeps the order; a packet picked for reordering is late by an
 * extra time and may be overtaken.
 *
 *   emulator SEED NETNS_DEVICE NETNS_SERVER NAME
 *
 * Directions are "up" (device to server) and "down". Commands are lines on standard
 * input, each answered with one line; end of input ends the program, so the link
 * never outlives who made it:
 *
 *   set up|down KEY=VALUE ...   rate bit/s (0: no limit), delay ms, jitter ms (+-),
 *                               queue ms, loss 0..1, enter 0..1 and leave 0..1
 *                               (Gilbert-Elliott: into and out of the state in
 *                               which all is lost), late 0..1, late_by ms
 *   link on|off                 off: nothing passes, what is under way is lost
 *   nat on|off                  rewrite the device's ports of UDP and TCP
 *   rebind                      forget the NAT's mappings: new ports from now on
 *   stats                       counters of both directions, as JSON
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { UP, DOWN, WAYS };
enum { MTU = 1500, BATCH = 64, FIRST_PORT = 20000, PORTS = 40000 };
#define MS 1000000LL /* nanoseconds */

struct packet {
    struct packet *next;
    int64_t due; /* ns, monotonic */
    int size;
    uint8_t data[];
};

struct line { /* packets in the order in which they are due */
    struct packet *head, **tail;
    int64_t last_due;
};

struct way {
    double rate, loss, enter, leave, late;
    int64_t delay, jitter, queue, late_by;
    int burst;         /* the Gilbert-Elliott state: 1 loses all */
    int64_t free_at;   /* when the bottleneck has sent all that it took */
    uint64_t random;
    struct line ordered, overtaken;
    uint64_t packets, bytes, dropped, lost, reordered, delivered, delivered_bytes;
};

struct mapping { /* a NAT's: the device's port, and the one seen outside */
    uint16_t inside, outside; /* host order */
    uint8_t protocol;
};

static struct way ways[WAYS];
static int fds[WAYS]; /* by the way that is read from it */
static int link_up = 1, nat = 0;
static struct mapping mappings[4096];
static int mapped = 0, next_port = 0;
static uint64_t rebinds = 0;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* splitmix64: small, seeded, good enough for coin tosses */
static double chance(struct way *way)
{
    uint64_t z = (way->random += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

/* ---- NAT ---- */

static void adjust(uint8_t *sum, uint16_t old, uint16_t new)
{
    /* RFC 1624: HC' = ~(~HC + ~m + m') */
    uint32_t total = (uint16_t)~((sum[0] << 8) | sum[1]);
    total += (uint16_t)~old;
    total += new;
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    total = (uint16_t)~total;
    sum[0] = total >> 8;
    sum[1] = total & 0xff;
}

static struct mapping *find(uint8_t protocol, uint16_t port, int outside)
{
    for (int i = mapped - 1; i >= 0; i--)
        if (mappings[i].protocol == protocol &&
            (outside ? mappings[i].outside : mappings[i].inside) == port)
            return &mappings[i];
    return NULL;
}

/* Returns 0 when the packet has nowhere to go: no mapping leads inside. */
static int translate(uint8_t *ip, int size, int way)
{
    int header = (ip[0] & 15) * 4;
    uint8_t protocol = ip[9];
    int sum_at = protocol == 17 ? 6 : 16;
    if (ip[0] >> 4 != 4 || (protocol != 17 && protocol != 6) || size < header + sum_at + 2)
        return 1;
    if (((ip[6] & 0x1f) << 8 | ip[7]) != 0)
        return 1; /* a later fragment has no ports */
    uint8_t *port = ip + header + (way == UP ? 0 : 2), *sum = ip + header + sum_at;
    uint16_t old = port[0] << 8 | port[1], new;
    struct mapping *found = find(protocol, old, way == DOWN);
    if (found == NULL) {
        if (way == DOWN)
            return 0;
        if (mapped == sizeof mappings / sizeof *mappings)
            mapped = 0; /* as a small router does when its table is full */
        found = &mappings[mapped++];
        *found = (struct mapping){old, FIRST_PORT + next_port, protocol};
        next_port = (next_port + 1) % PORTS;
    }
    new = way == UP ? found->outside : found->inside;
    port[0] = new >> 8;
    port[1] = new & 0xff;
    if (protocol == 6 || sum[0] || sum[1]) /* UDP without a checksum stays without */
        adjust(sum, old, new);
    return 1;
}

/* ---- the link ---- */

static void append(struct line *line, struct packet *packet)
{
    if (packet->due < line->last_due)
        packet->due = line->last_due;
    line->last_due = packet->due;
    packet->next = NULL;
    *line->tail = packet;
    line->tail = &packet->next;
}

static int is_lost(struct way *way)
{
    if (way->enter > 0) {
        way->burst = way->burst ? chance(way) >= way->leave : chance(way) < way->enter;
        if (way->burst)
            return 1;
    }
    return way->loss > 0 && chance(way) < way->loss;
}

static void enter_link(int direction, const uint8_t *data, int size, int64_t now)
{
    struct way *way = &ways[direction];
    way->packets++;
    way->bytes += size;
    if (!link_up) {
        way->lost++;
        return;
    }
    int64_t departs = now;
    if (way->rate > 0) {
        int64_t start = way->free_at > now ? way->free_at : now;
        if (start - now > way->queue) {
            way->dropped++;
            return;
        }
        departs = way->free_at = start + (int64_t)(size * 8e9 / way->rate);
    }
    if (is_lost(way)) {
        way->lost++;
        return;
    }
    struct packet *packet = malloc(sizeof *packet + size);
    if (packet == NULL)
        die("malloc");
    packet->size = size;
    memcpy(packet->data, data, size);
    if (nat && !translate(packet->data, size, direction)) {
        way->lost++;
        free(packet);
        return;
    }
    packet->due = departs + way->delay;
    if (way->jitter > 0)
        packet->due += (int64_t)((2 * chance(way) - 1) * way->jitter);
    if (way->late > 0 && chance(way) < way->late) {
        packet->due += way->late_by;
        way->reordered++;
        append(&way->overtaken, packet);
    } else {
        append(&way->ordered, packet);
    }
}

static void leave_link(int direction, struct line *line, int64_t now)
{
    struct way *way = &ways[direction];
    struct packet *packet;
    while ((packet = line->head) != NULL && packet->due <= now) {
        if (link_up) {
            /* A full or absent device loses it, as a full socket buffer does. */
            if (write(fds[!direction], packet->data, packet->size) == packet->size) {
                way->delivered++;
                way->delivered_bytes += packet->size;
            }
        } else {
            way->lost++;
        }
        line->head = packet->next;
        if (line->head == NULL)
            line->tail = &line->head;
        free(packet);
    }
}

static int64_t next_due(void)
{
    int64_t due = INT64_MAX;
    for (int i = 0; i < WAYS; i++) {
        struct line *lines[] = {&ways[i].ordered, &ways[i].overtaken};
        for (int j = 0; j < 2; j++)
            if (lines[j]->head != NULL && lines[j]->head->due < due)
                due = lines[j]->head->due;
    }
    return due;
}

/* ---- commands ---- */

static int set(struct way *way, char *rest)
{
    char *pair, *value;
    while ((pair = strtok_r(NULL, " ", &rest)) != NULL) {
        if ((value = strchr(pair, '=')) == NULL)
            return 0;
        *value++ = 0;
        double number = atof(value);
        if (!strcmp(pair, "rate")) way->rate = number;
        else if (!strcmp(pair, "delay")) way->delay = number * MS;
        else if (!strcmp(pair, "jitter")) way->jitter = number * MS;
        else if (!strcmp(pair, "queue")) way->queue = number * MS;
        else if (!strcmp(pair, "loss")) way->loss = number;
        else if (!strcmp(pair, "enter")) way->enter = number;
        else if (!strcmp(pair, "leave")) way->leave = number;
        else if (!strcmp(pair, "late")) way->late = number;
        else if (!strcmp(pair, "late_by")) way->late_by = number * MS;
        else return 0;
    }
    return 1;
}

static void print_stats(void)
{
    printf("{\"rebinds\": %llu", (unsigned long long)rebinds);
    for (int i = 0; i < WAYS; i++) {
        struct way *w = &ways[i];
        printf(", \"%s\": {\"packets\": %llu, \"bytes\": %llu, \"dropped\": %llu, "
               "\"lost\": %llu, \"reordered\": %llu, \"delivered\": %llu, "
               "\"delivered_bytes\": %llu}",
               i == UP ? "up" : "down", (unsigned long long)w->packets,
               (unsigned long long)w->bytes, (unsigned long long)w->dropped,
               (unsigned long long)w->lost, (unsigned long long)w->reordered,
               (unsigned long long)w->delivered, (unsigned long long)w->delivered_bytes);
    }
    printf("}\n");
}

static void command(char *line)
{
    char *rest = NULL, *word = strtok_r(line, " ", &rest);
    int good = 0;
    if (word != NULL && !strcmp(word, "stats")) {
        print_stats();
        fflush(stdout);
        return;
    }
    if (word != NULL && !strcmp(word, "rebind")) {
        mapped = 0;
        rebinds++;
        good = 1;
    } else if (word != NULL) {
        char *which = strtok_r(NULL, " ", &rest);
        if (which == NULL)
            good = 0;
        else if (!strcmp(word, "link") && (good = !strcmp(which, "on") || !strcmp(which, "off")))
            link_up = !strcmp(which, "on");
        else if (!strcmp(word, "nat") && (good = !strcmp(which, "on") || !strcmp(which, "off")))
            nat = !strcmp(which, "on");
        else if (!strcmp(word, "set") && !strcmp(which, "up"))
            good = set(&ways[UP], rest);
        else if (!strcmp(word, "set") && !strcmp(which, "down"))
            good = set(&ways[DOWN], rest);
    }
    puts(good ? "ok" : "error");
    fflush(stdout);
}

/* Reads what there is; returns 0 at the end of input. */
static int commands(void)
{
    static char text[4096];
    static size_t held = 0;
    ssize_t got = read(0, text + held, sizeof text - 1 - held);
    if (got <= 0)
        return got < 0 && errno == EINTR;
    held += got;
    char *start = text, *end;
    while ((end = memchr(start, '\n', text + held - start)) != NULL) {
        *end = 0;
        command(start);
        start = end + 1;
    }
    held -= start - text;
    memmove(text, start, held);
    return held < sizeof text - 1;
}

/* ---- beginning ---- */

static int open_tun(const char *netns, const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int space = open(netns, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) < 0)
        die(netns);
    close(space);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        die("/dev/net/tun");
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        die("TUNSETIFF");
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: emulator SEED NETNS_DEVICE NETNS_SERVER NAME\n");
        return 2;
    }
    fds[UP] = open_tun(argv[2], argv[4]);
    fds[DOWN] = open_tun(argv[3], argv[4]);
    for (int i = 0; i < WAYS; i++) {
        ways[i].random = strtoull(argv[1], NULL, 0) * WAYS + i;
        ways[i].ordered.tail = &ways[i].ordered.head;
        ways[i].overtaken.tail = &ways[i].overtaken.head;
    }
    /* Without these a packet is late by what the scheduler and a page fault take. */
    struct sched_param priority = {.sched_priority = 50};
    if (sched_setscheduler(0, SCHED_FIFO, &priority) < 0)
        perror("no real-time scheduling, delays are less exact");
    mlockall(MCL_CURRENT | MCL_FUTURE);
    prctl(PR_SET_TIMERSLACK, 1);
    puts("ready");
    fflush(stdout);

    struct pollfd polled[] = {{fds[UP], POLLIN, 0}, {fds[DOWN], POLLIN, 0}, {0, POLLIN, 0}};
    static uint8_t data[65536];
    for (;;) {
        int64_t due = next_due(), now = now_ns();
        int64_t wait = due <= now ? 0 : due - now;
        struct timespec timeout = {wait / 1000000000, wait % 1000000000};
        if (ppoll(polled, 3, due == INT64_MAX ? NULL : &timeout, NULL) < 0 && errno != EINTR)
            die("ppoll");
        for (int i = 0; i < WAYS; i++) {
            for (int n = 0; n < BATCH; n++) {
                ssize_t size = read(fds[i], data, sizeof data);
                if (size <= 0)
                    break;
                enter_link(i, data, size, now_ns());
            }
            now = now_ns();
            leave_link(i, &ways[i].ordered, now);
            leave_link(i, &ways[i].overtaken, now);
        }
        if (polled[2].revents && !commands())
            return 0;
    }
}
