"""What a node's user data does, run as it stands out of the launch template that moto made: in a root of its own (an overlay over this
machine's, gone with the case), with real file systems in a file, and Debian's aws command against moto. Stand-ins: apt-get, systemctl,
mount, CloudWatch's agent and the instance's metadata, which write down what they were asked."""

import base64
import json
import os
import re
import shutil
import subprocess
import time

import aws_cloud
from harness import BINARY, ROOT, Skip, Suite, check, equal, fresh_dir

suite = Suite("aws_node", "a node on AWS: its volume is found and never formatted over data, its secrets are in memory only, what fails says so")

NAME = "node"
SECRETS = {"admin.keys": "ops sha256:" + "a" * 64, "ingest.keys": "in sha256:" + "b" * 64, "read.keys": "out sha256:" + "c" * 64,
           "visitor.key": "d" * 32, "backup.token": "e" * 64, "kafka.username": "adtrack", "kafka.password": "pass'word \"f"}
MOUNT = "/var/lib/adtrack"
SETTINGS = "/etc/default/adtrackd"

STAND_INS = {
    "curl": r"""case $* in
*latest/api/token) echo token ;;
*meta-data/instance-id) cat /sandbox/instance ;;
*readyz) [ -e /sandbox/mounted ] ;;
*-o*) while [ "$1" != -o ]; do shift; done; : >"$2" ;;
*) exit 22 ;;
esac""",
    "apt-get": r"""case $* in
*adtrack.deb) cp "${*: -1}" /sandbox/installed; echo "adtrack:x:64123:64123::/var/lib/adtrack:/usr/sbin/nologin" >>/etc/passwd; echo "adtrack:x:64123:" >>/etc/group ;;
esac""",
    "systemctl": r"""case $* in
"enable --now adtrackd"*) exec /usr/local/sbin/adtrack-node prepare ;;
esac""",
    # What is on the volume is in a directory of the sandbox, whose mounts nobody else sees.
    "mount": r"""/usr/bin/mount --bind /sandbox/files "${*: -1}" && : >/sandbox/mounted""",
    "amazon-cloudwatch-agent-ctl": r"""config=${*: -1}; cp "${config#file:}" /sandbox/cloudwatch.json""",
}
ROOM = r"""set -euo pipefail
sandbox=$1 stubs=$2 device=$3
shift 3
mount -t tmpfs -o mode=0755 room "$sandbox/room"
cd "$sandbox/room"
mkdir up work root
mount -t overlay -o lowerdir=/,upperdir=up,workdir=work room root
mount -t tmpfs -o mode=0755 dev root/dev
mknod -m 666 root/dev/null c 1 3
mknod -m 666 root/dev/zero c 1 5
mknod -m 666 root/dev/urandom c 1 9
ln -s /proc/self/fd root/dev/fd
mkdir -p root/dev/disk/by-id root/sandbox root/opt/aws/amazon-cloudwatch-agent/bin
ln -s /sandbox/volume "root/dev/disk/by-id/$device"
mount --rbind /proc root/proc
mount -t tmpfs -o mode=0755 run root/run
mount -t tmpfs -o mode=1777 tmp root/tmp
mkdir -p root/run/stubs
cp "$stubs"/* root/run/stubs
mv root/run/stubs/amazon-cloudwatch-agent-ctl root/opt/aws/amazon-cloudwatch-agent/bin
rm -rf root/var/lib/adtrack
mount --bind "$sandbox/kept" root/sandbox
cp "$sandbox/adtrackd" root/usr/bin/adtrackd
exec chroot root env PATH=/run/stubs:/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""
_state = {}


class Node:
    """A volume, what is on it, and the runs of user data that use it."""

    def __init__(self, number):
        if os.getuid() != 0:
            raise Skip("this needs root to make a root of its own")
        for program in ("unshare", "jq", "mkfs.ext4"):
            if shutil.which(program) is None:
                raise Skip(f"there is no {program}")
        if "cloud" not in _state:
            cloud = aws_cloud.Cloud()
            cloud.deploy(NAME, NodeCount=3, Brokers="127.0.0.1:1", BrokersPort=1)
            tags = aws_cloud.template("node.yaml")["Resources"]["Data"]["Properties"]["Tags"]  # moto takes none out of a template
            for each in (1, 2, 3):
                values = {"adtrack": NAME, "adtrack-node": str(each)}
                cloud.client("ec2").create_tags(Resources=[cloud.exports(NAME)[f"Volume{each}"]],
                                                Tags=[{"Key": tag["Key"], "Value": values[tag["Key"]]} for tag in tags if tag["Key"] != "Name"])
            for name, value in SECRETS.items():
                cloud.client("ssm").put_parameter(Name=f"/adtrack/{name}", Type="SecureString", Value=value)
            _state["cloud"] = cloud
        self.cloud, self.number = _state["cloud"], number
        self.volume = self.cloud.exports(NAME)[f"Volume{number}"]
        self.instance = self.cloud.group(NAME, number)["Instances"][0]["InstanceId"]
        self.script = base64.b64decode(self.cloud.launch_template(NAME, number)["UserData"]).decode()
        self.directory = fresh_dir("aws-node")
        self.kept = os.path.join(self.directory, "kept")
        self.stubs = os.path.join(self.directory, "stubs")
        for path in (self.kept, self.stubs, os.path.join(self.directory, "room"), os.path.join(self.kept, "files")):
            os.makedirs(path)
        shutil.copy(BINARY, os.path.join(self.directory, "adtrackd"))
        shutil.copy(self.cloud.authority, os.path.join(self.kept, "ca.crt"))
        shutil.copy(os.path.join(ROOT, "config", "debian", "adtrackd.toml"), self.kept)
        for name, body in STAND_INS.items():
            path = os.path.join(self.stubs, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(f'#!/bin/bash\nprintf "%s %s\\n" "${{0##*/}}" "$*" >>/sandbox/calls\n{body}\n')
            os.chmod(path, 0o755)
        self.write("instance", self.instance)
        self.write("volume", b"")
        os.truncate(os.path.join(self.kept, "volume"), 64 << 20)

    def write(self, name, content):
        with open(os.path.join(self.kept, name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    def read(self, name):
        path = os.path.join(self.kept, name)
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def begin(self, command="boot", then="", patience=None):
        """Starts the user data on an instance that has nothing yet but the volume; `then` runs there when that went well."""
        for name in ("calls", "mounted", "installed"):
            self.write(name, "")
            os.remove(os.path.join(self.kept, name))
        script = self.script if patience is None else self.script.replace("attach_secs_max=900", f"attach_secs_max={patience}")
        if command != "boot":  # the package is there already
            prelude = 'echo "adtrack:x:64123:64123::/:/usr/sbin/nologin" >>/etc/passwd; echo "adtrack:x:64123:" >>/etc/group; '
        else:
            prelude = ""
        self.write("user-data", script)
        run = f"{prelude}cp /sandbox/user-data /root/user-data && bash /root/user-data {command} && {{ {then or 'true'}; }}"
        environment = {"HOME": "/root", **self.cloud.environment, "AWS_CA_BUNDLE": "/sandbox/ca.crt", "NO_PROXY": "169.254.169.254,127.0.0.1"}
        device = f"nvme-Amazon_Elastic_Block_Store_{self.volume.replace('-', '')}"
        return subprocess.Popen(["unshare", "-m", "--propagation", "private", "bash", "-c", ROOM, "room", self.directory, self.stubs, device, "bash", "-c", run],
                                env={"PATH": os.environ["PATH"], **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *arguments, code=0, **more):
        process = self.begin(*arguments, **more)
        said = process.communicate(timeout=180)[0]
        equal(process.returncode, code, f"exit code of the user data, which said {said[-2500:]}")
        return said

    def health(self):
        return self.cloud.group(NAME, self.number)["Instances"][0]["HealthStatus"]

    def detach(self):
        for held in self.cloud.volume(self.volume)["Attachments"]:
            self.cloud.client("ec2").detach_volume(VolumeId=self.volume, InstanceId=held["InstanceId"], Device=held["Device"])


def _node(number):
    if number not in _state:
        _state[number] = Node(number)
    return _state[number]


@suite.case("user data is clean to shellcheck, is within EC2's 16 KiB and holds no secret")
def _(t):
    node = _node(1)
    path = os.path.join(node.directory, "user-data.sh")
    with open(path, "w", encoding="utf-8") as file:
        file.write(node.script)
    aws_cloud.shell_clean(path)
    check(len(node.script.encode()) <= 16384 - 1024, f"{len(node.script.encode())} bytes leave room for longer names")
    t.note(f"{len(node.script.encode()):,} bytes")
    for name, value in SECRETS.items():
        check(name == "kafka.username" or value not in node.script, f"{name} stands in user data")


@suite.case("first boot: a blank volume is attached, formatted and mounted; package, units, secrets and settings are there; then the node is ready")
def _(t):
    node = _node(1)
    facts = (f"cp {SETTINGS} /sandbox/settings; stat -c '%n %U %a' /run/adtrack-secrets /run/adtrack-secrets/* {MOUNT}/data >/sandbox/modes; "
             "for s in /run/adtrack-secrets/*; do cp $s /sandbox/secret-${s##*/}; done; cp /etc/systemd/system/adtrackd.service.d/node.conf /sandbox/dropin; "
             "cp /etc/systemd/system/adtrack-backup.service /sandbox/backup; echo event >/var/lib/adtrack/data/event; stat -fc %T /run/adtrack-secrets; "
             "timeout 20 setpriv --reuid=64123 --regid=64123 --clear-groups env $(grep -v '^#' " + SETTINGS + ") adtrackd --config "
             "/sandbox/adtrackd.toml >/sandbox/adtrackd.log 2>&1; echo $? >/sandbox/adtrackd.code")
    said = node.run(then=facts)
    check("is blank: making a file system" in said and f"{NAME}-1 is ready" in said, said[-1500:])
    equal(node.cloud.volume(node.volume)["Attachments"][0]["InstanceId"], node.instance, "who has the volume")
    with open(os.path.join(node.kept, "installed"), "rb") as file:
        equal(file.read(), aws_cloud.PACKAGE, "the package that was installed")
    label = subprocess.run(["blkid", "-p", "-o", "value", "-s", "LABEL", os.path.join(node.kept, "volume")], capture_output=True, text=True, check=False).stdout
    equal(label.strip(), "adtrack-data", "label")
    modes = dict(line.split(" ", 1) for line in node.read("modes").splitlines())
    equal(modes, {"/run/adtrack-secrets": "adtrack 700", f"{MOUNT}/data": "adtrack 750", **{f"/run/adtrack-secrets/{name}": "adtrack 600" for name in SECRETS}}, "owners and modes")
    for name, value in SECRETS.items():
        equal(node.read(f"secret-{name}").strip(), value, name)
    settings = node.read("settings")
    check(all(value not in settings for name, value in SECRETS.items() if name != "kafka.username"), "the settings hold a secret")
    equal(sorted(re.findall(r"systemctl (.*)", node.read("calls"))), ["daemon-reload", "enable --now adtrackd adtrack-backup.timer"], "systemctl")
    check("AssertPathIsMountPoint=/var/lib/adtrack" in node.read("dropin"), "without its volume it would start on the root disk")
    bucket = node.cloud.exports(NAME)["Backups"]
    check(f"s3://{bucket}/{NAME}-1 " in node.read("backup"), node.read("backup"))
    files = json.loads(node.read("cloudwatch.json"))["logs"]["logs_collected"]["files"]["collect_list"]
    equal([file["log_stream_name"] for file in files], [f"{NAME}-1", f"{NAME}-1-backup"], "log streams")
    # adtrackd itself: it takes the settings, reads the keys as its user and goes on to look for Kafka.
    log = node.read("adtrackd.log")
    check("127.0.0.1:1" in log and '"event":"ready"' not in log, f"exit code {node.read('adtrackd.code').strip()}: {log[-1500:]}")
    check(not re.search(r"(?i)unknown|must be|cannot be read|not allowed|permission", log), log[-1500:])


@suite.case("drain_ms lasts until the load balancer has seen /readyz turn, and the proxies that are believed are the load balancer's subnets")
def _(t):
    settings = dict(line.split("=", 1) for line in _node(1).read("settings").splitlines() if "=" in line)
    target = aws_cloud.template("balancer.yaml")["Resources"]["Targets"]["Properties"]
    seen = (target["HealthCheckIntervalSeconds"] * target["UnhealthyThresholdCount"] + target["HealthCheckTimeoutSeconds"]) * 1000
    delay = int({a["Key"]: a["Value"] for a in target["TargetGroupAttributes"]}["deregistration_delay.timeout_seconds"]) * 1000
    check(seen <= int(settings["ADTRACK_HTTP_DRAIN_MS"]) <= delay, f"{settings['ADTRACK_HTTP_DRAIN_MS']} is not from {seen} to {delay}")
    equal(settings["ADTRACK_HTTP_TRUSTED_PROXIES"], "10.20.0.0/24,10.20.1.0/24,10.20.2.0/24", "trusted proxies")
    equal((settings["ADTRACK_NODE_ID"], settings["ADTRACK_ADMIN_HOST"]), (f"{NAME}-1", "127.0.0.1"), "its name, and who reaches the admin listener")


@suite.case("a replaced instance, and the second boot: the same volume and name, and nothing is formatted")
def _(t):
    node = _node(1)
    with open(os.path.join(node.kept, "volume"), "rb") as file:
        before = file.read()[:1 << 20][4096:]
    node.detach()
    said = node.run("prepare", then=f"cat {MOUNT}/data/event; cp {SETTINGS} /sandbox/settings")
    check("making a file system" not in said and "event" in said.splitlines(), said[-1500:])
    check(f"ADTRACK_NODE_ID={NAME}-1\n" in node.read("settings"), node.read("settings"))
    said = node.run("prepare", then=f"cat {MOUNT}/data/event")  # attached already
    check("making a file system" not in said and "event" in said.splitlines(), said[-1500:])
    with open(os.path.join(node.kept, "volume"), "rb") as file:
        check(file.read()[:1 << 20][4096:] == before, "the file system was written anew")


@suite.case("a volume that is not blank and not adtrack's is left as it is, and the instance calls itself unhealthy")
def _(t):
    node = _node(2)
    equal(node.health(), "Healthy", "before")
    foreign = os.urandom(4096)
    with open(os.path.join(node.kept, "volume"), "r+b") as file:
        file.seek(8 << 20)
        file.write(foreign)
    said = node.run("prepare", code=1)
    check("is not blank and has no file system called adtrack-data" in said, said)
    with open(os.path.join(node.kept, "volume"), "rb") as file:
        content = file.read()
    check(content[8 << 20:(8 << 20) + 4096] == foreign and content.count(b"\0") >= len(content) - 4096, "the volume was written to")
    equal(node.health(), "Unhealthy", "after")
    node.write("volume", b"")
    os.truncate(os.path.join(node.kept, "volume"), 64 << 20)


@suite.case("a volume that the elder instance still holds is waited for, not torn away; in vain it is an error")
def _(t):
    node = _node(2)
    node.detach()
    elder = node.cloud.group(NAME, 3)["Instances"][0]["InstanceId"]
    node.cloud.client("ec2").attach_volume(VolumeId=node.volume, InstanceId=elder, Device="/dev/sdf")
    said = node.run("prepare", code=1, patience=1)
    check(f"is still attached to {elder} after 1 s" in said, said)
    equal(node.cloud.volume(node.volume)["Attachments"][0]["InstanceId"], elder, "who has it")
    process = node.begin("prepare")
    said = ""
    while f"waiting for {elder}" not in said:
        line = process.stdout.readline()
        check(line, f"it ended: {said}")
        said += line
    time.sleep(0.2)
    node.detach()
    said += process.communicate(timeout=120)[0]
    equal(process.returncode, 0, said)
    equal(node.cloud.volume(node.volume)["Attachments"][0]["InstanceId"], node.instance, "who has it then")


@suite.case("a secret that cannot be read, another package than was named, two volumes with one name: each stops with a sentence")
def _(t):
    node = _node(2)
    ssm = node.cloud.client("ssm")
    ssm.delete_parameter(Name="/adtrack/read.keys")
    try:
        said = node.run("prepare", code=1)
    finally:
        ssm.put_parameter(Name="/adtrack/read.keys", Type="SecureString", Value=SECRETS["read.keys"])
    check("the secret /adtrack/read.keys cannot be read" in said, said)
    s3 = node.cloud.client("s3")
    s3.put_object(Bucket="packages", Key="adtrack.deb", Body=b"another")
    try:
        said = node.run(code=1)
    finally:
        s3.put_object(Bucket="packages", Key="adtrack.deb", Body=aws_cloud.PACKAGE)
    check("is not the one whose SHA-256 was given" in said and "calls itself unhealthy" in said, said)
    check("enable" not in node.read("calls"), "adtrackd was started")
    tags = [{"Key": "adtrack", "Value": NAME}, {"Key": "adtrack-node", "Value": "2"}]
    second = node.cloud.client("ec2").create_volume(AvailabilityZone="us-east-1b", Size=10, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}])["VolumeId"]
    try:
        said = node.run("prepare", code=1)
    finally:
        node.cloud.client("ec2").delete_volume(VolumeId=second)
    check("there must be one volume" in said, said)
