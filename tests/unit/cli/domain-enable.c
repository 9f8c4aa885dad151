/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* domain-enable.c - what enable adds to a definition, what it leaves alone, and that disable takes exactly that out. Also the
 * rule for AppArmor, and how differences are shown. */
#include "domain-enable.h"

#include <errno.h>

#include "apparmor.h"
#include "tap.h"
#include "text-diff.h"
#include "xml-edit.h"

#define SOCKET "/run/memarb/qmp.sock"

static const char plain[] = "<domain type=\"kvm\">\n"
                            "  <name>a</name>\n"
                            "  <uuid>u</uuid>\n"
                            "  <memory unit=\"KiB\">1</memory>\n"
                            "  <devices>\n"
                            "    <controller type=\"pci\" index=\"0\"/>\n"
                            "    <!-- a note -->\n"
                            "    <memballoon model=\"virtio\">\n"
                            "      <address type=\"pci\"/>\n"
                            "    </memballoon>\n"
                            "  </devices>\n"
                            "</domain>";
static const char rich[] =
    "<domain xmlns:qemu=\"http://libvirt.org/schemas/domain/qemu/1.0\" type=\"kvm\">\n"
    "  <name>a</name>\n"
    "  <metadata>\n"
    "    <x:y xmlns:x=\"urn:x\">t</x:y>\n"
    "  </metadata>\n"
    "  <devices>\n"
    "    <controller type=\"virtio-serial\" index=\"0\"/>\n"
    "    <channel type=\"unix\">\n      <target type=\"virtio\" name=\"org.qemu.guest_agent.0\"/>\n"
    "    </channel>\n"
    "    <memballoon model=\"virtio\" freePageReporting=\"off\">\n      <stats period=\"10\"/>\n"
    "    </memballoon>\n"
    "  </devices>\n"
    "  <qemu:commandline>\n    <qemu:arg value=\"-device\"/>\n    <qemu:arg value=\"pvpanic\"/>\n"
    "  </qemu:commandline>\n"
    "</domain>";
static const char narrow[] = "<domain><name>a</name><devices/></domain>";

static char *edit(const char *text, bool is_adding, uint32_t *ret_parts, uint32_t *ret_left) {
    struct ma_err err = {0};
    xmlDocPtr doc = ma_xml_read(text, strlen(text));
    CHECK(doc != NULL);
    int r = is_adding ? ma_enable_add(doc, SOCKET, ret_parts, &err)
                      : ma_enable_undo(doc, ret_parts, ret_left, &err);
    if (r != 0) {
        TAP_FAIL("%s", err.message);
    }
    char *after = ma_xml_write(doc);
    xmlFreeDoc(doc);
    return after;
}

static void there_and_back(const char *text, uint32_t expected) {
    uint32_t parts = 0, undone = 0, left = 99;
    char *added = edit(text, true, &parts, NULL);
    CHECK_U64(parts, expected);
    char *again = edit(added, true, &parts, NULL);
    CHECK_U64(parts, 0);
    CHECK_STR(again, added);
    char *back = edit(added, false, &undone, &left);
    CHECK_STR(back, text);
    CHECK_U64(undone, expected);
    CHECK_U64(left, 0);
    free(added);
    free(again);
    free(back);
}

static void what_is_added_is_taken_out_to_the_byte(void) {
    there_and_back(plain, MA_ENABLE_GUEST | MA_ENABLE_CONTROLLER | MA_ENABLE_CHANNEL |
                              MA_ENABLE_PERIOD | MA_ENABLE_REPORTING | MA_ENABLE_MONITOR);
}

static void what_an_operator_said_is_left(void) {
    uint32_t parts = 0;
    there_and_back(rich, MA_ENABLE_GUEST | MA_ENABLE_CHANNEL | MA_ENABLE_MONITOR);
    char *added = edit(rich, true, &parts, NULL);
    CHECK(strstr(added, "freePageReporting=\"off\"") != NULL);
    CHECK(strstr(added, "period=\"10\"") != NULL);
    CHECK(strstr(added, "<x:y xmlns:x=\"urn:x\">t</x:y>") != NULL);
    /* Behind what stood there, not in between. */
    CHECK(strstr(added, "pvpanic") < strstr(added, "id=memarb"));
    free(added);
}

static void a_definition_without_lines_or_balloon_is_fine(void) {
    uint32_t parts = 0;
    char *added = edit(narrow, true, &parts, NULL);
    CHECK_U64(parts,
              MA_ENABLE_GUEST | MA_ENABLE_CONTROLLER | MA_ENABLE_CHANNEL | MA_ENABLE_MONITOR);
    free(added);
}

static char *replaced(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    char *out = NULL;
    CHECK(at != NULL);
    CHECK(asprintf(&out, "%.*s%s%s", (int) (at - text), text, to, at + strlen(from)) > 0);
    return out;
}

static void expect_left(const char *from, const char *to, uint32_t expected) {
    uint32_t parts = 0, undone = 0, left = 0;
    char *added = edit(plain, true, &parts, NULL);
    char *changed = replaced(added, from, to);
    char *back = edit(changed, false, &undone, &left);
    CHECK_U64(left, expected);
    CHECK_U64(undone, parts & ~expected);
    CHECK(strstr(back, "memarb-enabled") == NULL);
    free(added);
    free(changed);
    free(back);
}

static void what_somebody_changed_since_stays(void) {
    expect_left("<stats period=\"5\"", "<stats period=\"1\"", MA_ENABLE_PERIOD);
    expect_left("freePageReporting=\"on\"", "freePageReporting=\"off\"", MA_ENABLE_REPORTING);
    expect_left("reconnect=1", "reconnect=9", MA_ENABLE_MONITOR);
    expect_left("xmlns:memarb=\"urn:memarb:guest:1\"",
                "xmlns:memarb=\"urn:memarb:guest:1\" impact=\"5\"", MA_ENABLE_GUEST);
    /* The controller stays for the channel. */
    expect_left("<target type=\"virtio\" name=\"org.memarb.guest.0\"/>",
                "<source mode=\"bind\" path=\"/x\"/><target type=\"virtio\" "
                "name=\"org.memarb.guest.0\"/>",
                MA_ENABLE_CHANNEL | MA_ENABLE_CONTROLLER);
    /* What somebody took out is done with. */
    expect_left("<stats period=\"5\"/>", "", 0);
}

static char *edit_for(const char *text, const char *socket, int expected) {
    struct ma_err err = {0};
    uint32_t parts = 0;
    xmlDocPtr doc = ma_xml_read(text, strlen(text));
    CHECK(doc != NULL);
    CHECK_I64(ma_enable_add(doc, socket, &parts, &err), expected);
    CHECK(expected == 0 || strstr(err.message, "id=memarb") != NULL);
    CHECK(expected != 0 || parts == MA_ENABLE_MONITOR);
    char *after = ma_xml_write(doc);
    xmlFreeDoc(doc);
    return after;
}

static unsigned count(const char *text, const char *what) {
    unsigned n = 0;
    while ((text = strstr(text, what)) != NULL) {
        n++;
        text += strlen(what);
    }
    return n;
}

/* Two monitors of one id, and QEMU does not start. */
static void a_socket_that_moved_takes_the_monitor_along(void) {
    uint32_t parts = 0, left = 0;
    char *added = edit(rich, true, &parts, NULL);
    char *moved = edit_for(added, "/run/new.sock", 0);
    CHECK_U64(count(moved, "id=memarb"), 1);
    CHECK_U64(count(moved, SOCKET), 0);
    CHECK_U64(count(moved, "/run/new.sock"), 2); /* argument and note */
    char *back = edit(moved, false, &parts, &left);
    CHECK_STR(back, rich);
    CHECK_U64(left, 0);
    free(back);
    free(moved);
    /* One that somebody changed is no longer ours to move. */
    char *changed = replaced(added, "reconnect=1", "reconnect=9");
    free(edit_for(changed, "/run/new.sock", -EEXIST));
    free(changed);
    free(added);
}

static void somebodys_chardev_of_that_id_is_in_the_way(void) {
    char *own = replaced(rich, "<qemu:arg value=\"-device\"/>\n    <qemu:arg value=\"pvpanic\"/>",
                         "<qemu:arg value=\"-chardev\"/><qemu:arg value=\"null,id=memarb\"/>");
    free(edit_for(own, SOCKET, -EEXIST));
    free(own);
    uint32_t parts = 0;
    own = replaced(rich, "pvpanic", "pvpanic,id=memarb"); /* a device's id is none of a chardev's */
    free(edit(own, true, &parts, NULL));
    CHECK((parts & MA_ENABLE_MONITOR) != 0);
    free(own);
}

static void nothing_is_undone_without_a_note(void) {
    struct ma_err err = {0};
    uint32_t undone = 0, left = 0;
    xmlDocPtr doc = ma_xml_read(plain, strlen(plain));
    CHECK_I64(ma_enable_undo(doc, &undone, &left, &err), -ENOENT);
    CHECK_U64(ma_enable_noted(doc), 0);
    CHECK_I64(ma_enable_add(doc, "/run/a,b", &undone, &err), -EINVAL);
    xmlFreeDoc(doc);
    doc = ma_xml_read("<network/>", 10);
    CHECK_I64(ma_enable_add(doc, NULL, &undone, &err), -EINVAL);
    xmlFreeDoc(doc);
}

static void the_rule_comes_once_and_goes(void) {
    char *text = NULL, *gone = NULL;
    static const char own[] = "  /srv/** r,";
    CHECK_I64(ma_apparmor_change(NULL, SOCKET, true, &text), 0);
    CHECK(text != NULL && strstr(text, "\n" SOCKET " rw,\n") != NULL);
    CHECK_I64(ma_apparmor_change(text, SOCKET, true, &gone), 0);
    CHECK(gone == NULL);
    CHECK_I64(ma_apparmor_change(text, SOCKET, false, &gone), 0);
    CHECK_STR(gone, "");
    free(text);
    free(gone);
    CHECK_I64(ma_apparmor_change(own, SOCKET, true, &text), 0);
    CHECK(strncmp(text, own, sizeof(own) - 1) == 0);
    CHECK_I64(ma_apparmor_change(text, SOCKET, false, &gone), 0);
    CHECK_STR(gone, "  /srv/** r,\n");
    free(text);
    free(gone);
    /* A rule that the administrator wrote is neither doubled nor taken. */
    CHECK_I64(ma_apparmor_change(SOCKET " rw,\n", SOCKET, true, &text), 0);
    CHECK(text == NULL);
    CHECK_I64(ma_apparmor_change(SOCKET " rw,\n", SOCKET, false, &text), 0);
    CHECK(text == NULL);
    /* What only ends like it is another. */
    CHECK_I64(ma_apparmor_change("# " SOCKET " rw,\n  deny " SOCKET " rw,\n", SOCKET, true, &text),
              0);
    CHECK(text != NULL);
    free(text);
    CHECK_I64(ma_apparmor_change("x,\n\n\t" SOCKET " rw,\n", SOCKET, true, &text), 0);
    CHECK(text == NULL);
    CHECK_I64(ma_apparmor_change(NULL, "/run/{a,b}*", true, &text), -EINVAL);
    CHECK_I64(ma_apparmor_change(NULL, "run/x", true, &text), -EINVAL);
    CHECK_I64(ma_apparmor_change(NULL, "/run/x rw,\n/** rwx", true, &text), -EINVAL);
}

static void the_file_is_replaced_whole(void) {
    char folder[] = "/tmp/memarb-apparmor-XXXXXX", path[128], text[64] = "";
    CHECK(mkdtemp(folder) != NULL);
    (void) snprintf(path, sizeof(path), "%s/local/abstractions/libvirt-qemu", folder);
    CHECK_I64(ma_apparmor_write(path, "first\n"), 0);
    CHECK_I64(ma_apparmor_write(path, "second\n"), 0);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL && fgets(text, sizeof(text), file) != NULL);
    (void) fclose(file);
    CHECK_STR(text, "second\n");
    for (int i = 0; i < 4; i++) {
        CHECK_I64(remove(path), 0);
        *strrchr(path, '/') = '\0';
    }
}

static void expect_diff(const char *before, const char *after, const char *expected) {
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    CHECK(file != NULL);
    CHECK_I64(ma_text_diff(file, before, after), 0);
    CHECK_I64(fclose(file), 0);
    CHECK_STR(text, expected);
    free(text);
}

static void differences_read_like_diff(void) {
    expect_diff("a\nb\n", "a\nb\n", "");
    expect_diff("", "", "");
    expect_diff("", "a", "+ a\n");
    expect_diff("a\nb\nc\n", "a\nx\nc\n", "  a\n- b\n+ x\n  c\n");
    expect_diff("1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\n5\n6\n7\n", "  4\n  5\n  6\n+ 7\n");
    expect_diff("a\n1\n2\n3\n4\n5\n6\n7\n8\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\n8\nB\n",
                "- a\n+ A\n  1\n  2\n  3\n...\n  6\n  7\n  8\n- b\n+ B\n");
    expect_diff("a\nb\nc\nd\n", "c\nd\na\nb\n", "- a\n- b\n  c\n  d\n+ a\n+ b\n");
}

TAP_MAIN(TAP_CASE(what_is_added_is_taken_out_to_the_byte),
         TAP_CASE(what_an_operator_said_is_left),
         TAP_CASE(a_definition_without_lines_or_balloon_is_fine),
         TAP_CASE(what_somebody_changed_since_stays),
         TAP_CASE(a_socket_that_moved_takes_the_monitor_along),
         TAP_CASE(somebodys_chardev_of_that_id_is_in_the_way),
         TAP_CASE(nothing_is_undone_without_a_note),
         TAP_CASE(the_rule_comes_once_and_goes),
         TAP_CASE(the_file_is_replaced_whole),
         TAP_CASE(differences_read_like_diff));
