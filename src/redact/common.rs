//! Words that programs of all hosts use: of banners, of the answers of proxies, of what Windows writes beside its codes. They
//! stay in words of programs, unless somebody has such a name; unlike words of this program's own answers they are sought
//! where somebody has.

use std::sync::LazyLock;

use hashbrown::HashSet;

/// What servers, clients and libraries call themselves in banners and in the headers Server, Via and User-Agent.
const PRODUCTS: &str = "openssh openssh_for_windows dropbear libssh libssh2 paramiko putty winscp bitvise wolfssh asyncssh \
    romsshell mod_sftp cerberus tectia cisco mikrotik rosssh arista junos huawei fortinet fortigate fortissh \
    debian ubuntu raspbian raspberry fedora centos redhat rhel alpine suse opensuse almalinux freebsd openbsd netbsd gnu \
    linux unix macos darwin solaris android ios win32 win64 winnt x86 x64 x86_64 amd64 arm64 aarch64 i386 i686 \
    nginx openresty tengine apache httpd lighttpd caddy traefik envoy haproxy varnish squid tinyproxy privoxy squidguard \
    microsoft microsoft-iis microsoft-httpapi httpapi iis kestrel asp aspnet winhttp wininet schannel forefront tmg isa \
    cloudflare akamai akamaighost awselb amazon cloudfront google gws gse fastly azure \
    bluecoat proxysg symantec zscaler mcafee sophos barracuda netscaler citrix bigip big-ip f5 networks pan-os \
    checkpoint kerio wingate ccproxy cntlm px stunnel ghostunnel sslh socat \
    openssl libressl boringssl gnutls wolfssl mbedtls jetty tomcat coyote undertow netty python php perl go-http-client \
    curl wget mozilla gecko applewebkit khtml chrome chromium safari firefox msie trident edg \
    realvnc tightvnc ultravnc tigervnc libvncserver vino x11vnc turbovnc anydesk teamviewer rustdesk guacamole guacd \
    freerdp xfreerdp wlfreerdp xrdp grdp rdesktop ironrdp remmina vinagre krdc mstsc mstscax msrdc aadj avd rdweb rdgateway \
    postfix exim sendmail exchange esmtp smtp dovecot cyrus courier imap imap4 imap4rev1 pop3 proftpd vsftpd pureftpd ftp \
    filezilla mysql mariadb postgresql redis mongodb telnet rfb vnc ssh sftp scp mux ajp amqp mqtt ldap sip rtsp xmpp \
    defender antivirus antimalware adobe flash player windows office edge dotnet framework native runtime vclibs \
    websocket upgrade http https http2 h2 socks socks4 socks5 spdy quic";

/// Reason phrases of RFC 9110 15, of RFC 6585, RFC 7725 and RFC 8297, and what proxies write in their place.
const PHRASES: &str = "continue switching protocols protocol processing hints ok created accepted non-authoritative \
    information no content reset partial multi-status already reported im used multiple choices moved permanently found see \
    other not modified use proxy temporary redirect permanent bad request unauthorized payment required forbidden method allowed \
    acceptable authentication timeout timed conflict gone length precondition failed large too uri url unsupported media \
    type range satisfiable expectation teapot misdirected unprocessable entity locked dependency upgrade many requests header \
    headers fields unavailable legal reasons internal server error implemented gateway service version supported variant also \
    negotiates insufficient storage loop detected extended network connection established opened tunnel access denied \
    blocked by policy rule category filtered quarantined unreachable refused unknown host dns resolve resolution lookup \
    cannot could connect connecting remote origin upstream unable to reach destination address port ports \
    cache miss hit deny squid-error ssl ssl_ports safe_ports licence license exceeded quota limit bandwidth negotiation \
    basic digest bearer negotiate ntlm kerberos realm credentials credential invalid wrong missing expired rejected \
    login logon please try again later retry temporarily permanently maintenance overloaded busy down back end backend";

/// Field names of HTTP.
const HEADERS: &str = "accept accept-encoding accept-language age allow authorization cache-control close connection \
    content-encoding content-length content-type cookie date etag expires from host keep-alive last-modified location \
    max-forwards origin pragma proxy-agent proxy-authenticate proxy-authorization proxy-connection proxy-status referer \
    retry-after server set-cookie te trailer transfer-encoding chunked upgrade user-agent vary via warning www-authenticate \
    x-cache x-forwarded-for x-forwarded-proto x-squid-error get head post put delete connect options trace patch \
    rdg_in_data rdg_out_data rpc_in_data rpc_out_data";

/// What event logs say beside their codes: reasons of shutdowns (winuser.h and its texts), of crashes and updates, titles of
/// updates, names of services.
const OF_LOGS: &str = "planned unplanned operating system hardware software maintenance installation reconfiguration upgrade \
    hotfix hot fix pack recovery security issue application unresponsive unstable power supply cord unplugged environment \
    blue screen bluescreen stop loss of connectivity technology legacy api shutdown shut restart reboot off on hibernate sleep resume \
    reason reasons title comment being because active directory domain services was installed removed reinstall configuration \
    forced manual automatic normal expected unexpected abnormal initiated requested cancelled canceled aborted cumulative \
    definition definitions update updates feature features quality preview monthly rollup removal tool malicious platform \
    intelligence driver drivers firmware x64-based x86-based arm64-based systems based servicing stack people advertising xaml \
    universal webmediaextensions \
    cryptsvc termservice termservlicensing umrdpservice sessionenv rpcss rpceptmapper dcomlaunch lanmanserver \
    lanmanworkstation netlogon w32time eventlog dnscache dhcp nlasvc gpsvc profsvc winmgmt wuauserv bits schedule spooler \
    samss lsass lsm lsaiso mpssvc bfe iphlpsvc winrm wsearch vmtools vmictimesync vmicshutdown tssdis tsgateway \
    w3svc was appidsvc keyiso vaultsvc themes uxsms dwm fontcache rdpclip rdpinput rdpshell rdpinit tstheme taskhostw \
    userinit logonui sihost ctfmon consent dllhost conhost svchost spoolsv smss lsaiso mstsc \
    november october september july january february december";

/// Words of traces and error texts.
const WORDS: &str = "a an the this that these those it its is are was were be been being has have had do does did done not no \
    nor and or but if then else when while where which who what why how than as at by for from in into of off on onto out over \
    to up upon with within without under after before since until again against between through during about above below \
    all any both each every few more most other another some such only own same so too very can could might must shall \
    should would cannot yet still also just now already ever never always none one two three first second last next \
    previous new old current default local remote internal external invalid valid illegal unknown unexpected unsupported \
    supported available unavailable missing found lost empty full open opened opening close closed closing start started \
    starting begin began begun end ended ending stop stopped stopping run running ran exit exited abort aborted cancel \
    cancelled fail failed fails failing failure success successful successfully succeeded error errors warning fatal exception \
    fault crash crashed hang hung assert assertion trace tracing debug info verbose code codes status result results state \
    states event events reason cause flag flags value values number count size length bytes byte bit bits offset index type \
    types kind class mode level name names id identifier guid version build revision release minor patch date time \
    times timeout timer interval seconds milliseconds minutes hours days duration delay wait waited waiting call called calling \
    caller callback function procedure method object handle pointer memory buffer stack heap thread process module library \
    program application component service driver device file path folder directory disk volume registry key keys setting \
    settings option options property properties parameter parameters argument arguments input output data packet packets \
    message messages request requests response responses reply answer session sessions connection connections connect \
    connected connecting disconnect disconnected disconnecting reconnect reconnected listener listen listening client clients \
    server servers peer host hosts user users account accounts group groups password passwords credential credentials \
    certificate certificates token tokens ticket tickets authentication authenticate authenticated authorization authorized \
    login logon logoff logged signed sign permission permissions privilege privileges right rights access allowed denied \
    refused rejected accepted granted required needed permitted policy policies rule rules license licenses licensing network \
    networks interface adapter address addresses port ports socket sockets transport channel channels virtual tunnel tunnels \
    proxy gateway broker farm collection pool desktop desktops screen display monitor monitors graphics video audio printer \
    clipboard redirection redirect redirected transfer encryption encrypted decrypt encrypt cipher security secure \
    protocol protocols handshake negotiate negotiated negotiation capability capabilities exchange send sent sending receive \
    received receiving read reading write written writing create created creating delete deleted remove removed add added \
    set get query update updated change changed initialize initialized initialization terminate terminated termination \
    ready busy idle active inactive enabled disabled enable disable install installed uninstall configure configured \
    configuration register registered load loaded unload unloaded allocate allocated release released lock locked unlock \
    unlocked bind bound attach attached detach detached enter entered leave left wants want try tried trying tries retry \
    attempt attempts attempted limit limits reached exceeded expired expire many few maximum minimum max min total \
    true false yes no on off null nil none ok true undefined unspecified unassigned reserved general specific \
    restart shutdown power operating system windows computer machine domain workgroup site controller \
    winlogon explorer shell kernel environment because possible impossible problem problems occurred detected \
    could's can't couldn't don't doesn't didn't isn't wasn't won't graphic gfx plugin stream streams";

type Words = HashSet<&'static str, foldhash::fast::FixedState>;

static WORDS_OF_ALL: LazyLock<Words> = LazyLock::new(|| {
    [PRODUCTS, PHRASES, HEADERS, OF_LOGS, WORDS].iter().flat_map(|words| words.split_whitespace()).collect()
});
static PRODUCT_WORDS: LazyLock<Words> = LazyLock::new(|| PRODUCTS.split_whitespace().collect());

/// A word of programs anywhere.
pub(super) fn is_common(word: &str) -> bool {
    WORDS_OF_ALL.contains(word.to_ascii_lowercase().as_str())
}

/// What a program calls itself.
pub(super) fn is_product(word: &str) -> bool {
    PRODUCT_WORDS.contains(word.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed_in_small_letters() {
        assert!(WORDS_OF_ALL.len() > 900);
        assert!(WORDS_OF_ALL.iter().all(|word| word.to_ascii_lowercase() == **word));
        assert!(is_common("Unauthorized") && is_product("OpenSSH") && !is_product("denied"));
    }

    #[test]
    fn no_word_is_what_people_or_hosts_are_called() {
        for name in [
            "alice", "john", "mark", "rose", "grace", "contoso", "rdsh01", "dc01", "frank", "april", "will",
            "may", "long", "major", "early", "ruby", "rocky", "dante", "palo", "alto", "forest", "lee",
        ] {
            assert!(!is_common(name), "{name}");
        }
    }
}
