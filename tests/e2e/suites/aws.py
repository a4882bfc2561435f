"""config/aws in moto: every variant of the stack is created, by the commands of its README, and what was created keeps its promises."""

import glob
import os
import re

import aws_cloud
from harness import Suite, check, equal

suite = Suite("aws", "issue: the CloudFormation templates are cfn-lint clean, reach CREATE_COMPLETE in moto, and open nothing that should be shut")

NAME = "ads"
WORLD = "0.0.0.0/0"
# moto passes these over; cfn-lint holds them against AWS's own schemas.
NOT_IN_MOTO = {"AWS::MSK::Configuration", "AWS::MSK::Cluster", "AWS::MSK::BatchScramSecret", "AWS::SecretsManager::Secret",
               "AWS::CloudWatch::Alarm", "AWS::S3::BucketPolicy", "AWS::SNS::Subscription", "AWS::ApplicationAutoScaling::ScalableTarget",
               "AWS::ApplicationAutoScaling::ScalingPolicy"}
# Calls for which AWS knows no narrower resource than "*", and what may be done with them is narrow by itself.
ONLY_STAR = {"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"}
_state = {}


def _cloud():
    """The account with the largest variant in it: MSK, three nodes, HTTPS, a NAT gateway a zone."""
    if "cloud" not in _state:
        _state["cloud"] = cloud = aws_cloud.Cloud()
        _state["statuses"] = cloud.deploy(NAME, NodeCount=3, CertificateArn=cloud.certificate(), NatPerZone="yes", AlarmEmail="ops@ads.example")
    return _state["cloud"]


def _statuses_equal(statuses, name, parts):
    equal(statuses, {full: "CREATE_COMPLETE" for full in [name] + [f"{name}-{part}" for part in parts]}, "the stack's parts")


@suite.case("cfn-lint finds nothing, its informational rules included, and finds what is wrong in a broken copy")
def _(t):
    files = sorted(glob.glob(os.path.join(aws_cloud.CONFIG, "*.yaml")))
    found, code = aws_cloud.lint("--include-checks", "I", "--", *files)
    equal((found, code), ([], 0), "cfn-lint")
    t.note(f"{len(files)} templates")
    with open(os.path.join(aws_cloud.CONFIG, "brokers.yaml"), encoding="utf-8") as file:
        text = file.read()
    broken = os.path.join(aws_cloud.fresh_dir("broken"), "brokers.yaml")
    with open(broken, "w", encoding="utf-8") as file:
        file.write(text.replace("NumberOfBrokerNodes: 3", "NumberOfBrokers: 3"))
    found, code = aws_cloud.lint("--", broken)
    check(code != 0 and any("NumberOfBroker" in entry["Message"] for entry in found), f"a wrong property of MSK is found: {found}")


@suite.case("package and deploy: MSK, three nodes, HTTPS: every part is CREATE_COMPLETE")
def _(t):
    cloud = _cloud()
    _statuses_equal(_state["statuses"], NAME, ["Network", "LogBrokers", "Balancer", "Shared", "Node1", "Node2", "Node3", "Watch"])
    passed_over = set(re.findall(r"No Moto CloudFormation support for (\S+)", cloud.log()))
    check(passed_over <= NOT_IN_MOTO, f"moto passed over more than is known: {passed_over - NOT_IN_MOTO}")
    t.note(f"moto passed over {', '.join(sorted(passed_over))}: held against their schemas by cfn-lint only")


@suite.case("own brokers, one node, plain HTTP; own brokers, three nodes; MSK, two nodes, HTTPS: each is CREATE_COMPLETE")
def _(t):
    cloud = _cloud()
    one = cloud.deploy("one", Brokers="b-1.example:9094", BrokersPort="9094", BrokersMechanism="PLAIN")
    _statuses_equal(one, "one", ["Network", "Balancer", "Shared", "Node1", "Watch"])
    own = cloud.deploy("own", Brokers="b-1.example:9096,b-2.example:9096", NodeCount=3)
    _statuses_equal(own, "own", ["Network", "Balancer", "Shared", "Node1", "Node2", "Node3", "Watch"])
    two = cloud.deploy("two", NodeCount=2, CertificateArn=cloud.certificate(), IngestKeys="open", ReadKeys="open")
    _statuses_equal(two, "two", ["Network", "LogBrokers", "Balancer", "Shared", "Node1", "Node2", "Watch"])


def _groups(name):
    cloud = _cloud()
    exports = cloud.exports(name)
    found = cloud.client("ec2").describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [exports["Vpc"]]}])["SecurityGroups"]
    return exports, {group["GroupId"]: group for group in found if group["GroupName"] != "default"}


def _open(group):
    """(from, to, who) of a group's ingress."""
    return [(rule.get("FromPort"), rule.get("ToPort"), who) for rule in group["IpPermissions"]
            for who in [r["CidrIp"] for r in rule["IpRanges"]] + [r["CidrIpv6"] for r in rule.get("Ipv6Ranges", [])] + [p["GroupId"] for p in rule["UserIdGroupPairs"]]]


@suite.case("the world reaches the load balancer only; nodes take events from it, CAF from nodes, brokers take nodes")
def _(t):
    exports, groups = _groups(NAME)
    balancer, node = exports["BalancerGroup"], exports["NodeGroup"]
    brokers = [group for key, group in groups.items() if key not in (balancer, node)]
    equal(len(brokers), 1, "groups beside those two")
    equal(sorted(_open(groups[balancer])), [(80, 80, WORLD), (443, 443, WORLD)], "the load balancer's door")
    equal(sorted(_open(groups[node])), sorted([(8080, 8080, balancer), (7400, 7400, node)]), "the nodes' doors")
    equal(_open(brokers[0]), [(9096, 9096, node)], "the brokers' door")
    _, groups = _groups("one")
    world = [rule for group in groups.values() for rule in _open(group) if rule[2] == WORLD]
    equal(world, [(80, 80, WORLD)], "without a certificate, the world's ports")


@suite.case("the load balancer asks /readyz, sends HTTP to HTTPS, and lets only the public calls in")
def _(t):
    cloud = _cloud()
    elb = cloud.client("elbv2")
    target = elb.describe_target_groups(Names=[NAME])["TargetGroups"][0]
    equal((target["HealthCheckPath"], target["Matcher"], target["Port"]), ("/readyz", {"HttpCode": "200"}, 8080), "health check")
    balancer = elb.describe_load_balancers(Names=[NAME])["LoadBalancers"][0]
    # moto takes no attributes out of a template.
    body = aws_cloud.template("balancer.yaml")["Resources"]
    attributes = {a["Key"]: a["Value"] for a in body["Balancer"]["Properties"]["LoadBalancerAttributes"] + body["Targets"]["Properties"]["TargetGroupAttributes"]}
    equal(attributes["load_balancing.algorithm.type"], "least_outstanding_requests", "whom it sends a request to")
    with open(os.path.join(aws_cloud.CONFIG, "..", "adtrackd.toml"), encoding="utf-8") as file:
        settings = file.read()
    idle = int(attributes["idle_timeout.timeout_seconds"]) * 1000
    check(idle < int(re.search(r"idle_timeout_ms = (\d+)", settings)[1]), "the load balancer closes idle connections first")
    check(idle > int(re.search(r"stream_heartbeat_ms = (\d+)", settings)[1]), "a stream's heartbeat comes in time")
    listeners = {listener["Port"]: listener for listener in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]}
    equal(sorted(listeners), [80, 443], "listeners")
    equal(listeners[80]["DefaultActions"][0]["RedirectConfig"]["Protocol"], "HTTPS", "what plain HTTP gets")
    equal(listeners[443]["DefaultActions"][0]["FixedResponseConfig"]["StatusCode"], "404", "what is not named gets")
    rules = [rule for rule in elb.describe_rules(ListenerArn=listeners[443]["ListenerArn"])["Rules"] if not rule["IsDefault"]]
    paths = [path for rule in rules for condition in rule["Conditions"] for path in condition.get("Values") or condition["PathPatternConfig"]["Values"]]
    equal(sorted(paths), ["/", "/api/*", "/dashboard/*", "/openapi.json"], "public paths")


@suite.case("a node: IMDSv2 within one hop, no public address, encrypted disks, a zone of its own, replaced alone")
def _(t):
    cloud = _cloud()
    zones = set()
    for number in (1, 2, 3):
        data = cloud.launch_template(NAME, number)
        options = data["MetadataOptions"]
        equal((options["HttpTokens"], int(options["HttpPutResponseHopLimit"])), ("required", 1), "metadata options")
        interface = data["NetworkInterfaces"][0]
        equal((str(interface["AssociatePublicIpAddress"]).lower(), interface["Groups"]), ("false", [cloud.exports(NAME)["NodeGroup"]]), "interface")
        check(all(str(m["Ebs"]["Encrypted"]).lower() == "true" for m in data["BlockDeviceMappings"]), "the root disk is encrypted")
        check("KeyName" not in data, "there is no SSH key")
        group = cloud.group(NAME, number)
        equal((group["MinSize"], group["MaxSize"], group["HealthCheckType"]), (1, 1, "EC2"), "the group")
        volume = cloud.volume(cloud.exports(NAME)[f"Volume{number}"])
        equal(volume["AvailabilityZone"], group["AvailabilityZones"][0], "the data volume's zone")
        zones.add(volume["AvailabilityZone"])
    equal(len(zones), 3, "zones")
    body = aws_cloud.template("node.yaml")["Resources"]
    data = body["Data"]["Properties"]  # moto makes every volume the same
    equal((data["Encrypted"], data["VolumeType"]), (True, "gp3"), "the data volume")
    update = body["Instances"]["UpdatePolicy"]["AutoScalingRollingUpdate"]
    equal((update["MinInstancesInService"], update["MaxBatchSize"], update["WaitOnResourceSignals"]), (0, 1, True), "how instances are replaced")
    nodes = aws_cloud.template("adtrack.yaml")["Resources"]
    equal([nodes[f"Node{n}"]["DependsOn"] for n in (2, 3)], ["Node1", "Node2"], "nodes are changed one after another")


@suite.case("the log cannot lose what was acknowledged, and is spoken to over TLS as a user only")
def _(t):
    body = aws_cloud.template("brokers.yaml")["Resources"]
    settings = body["Configuration"]["Properties"]["ServerProperties"].split()
    for line in ("min.insync.replicas=2", "default.replication.factor=3", "unclean.leader.election.enable=false", "auto.create.topics.enable=false"):
        check(line in settings, f"{line} is not in {settings}")
    cluster = body["Cluster"]["Properties"]
    equal(cluster["NumberOfBrokerNodes"], 3, "brokers")
    equal(cluster["EncryptionInfo"]["EncryptionInTransit"], {"ClientBroker": "TLS", "InCluster": True}, "in transit")
    equal((cluster["ClientAuthentication"]["Unauthenticated"]["Enabled"], cluster["BrokerNodeGroupInfo"]["ConnectivityInfo"]["PublicAccess"]["Type"]),
          (False, "DISABLED"), "who may come")


def _statements():
    """(where, statement) of all that the roles allow."""
    out = []
    for kind in ("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for file, name, resource in aws_cloud.resources(kind):
            properties = resource["Properties"]
            check("ManagedPolicyArns" not in properties, f"{file} {name} takes a policy of AWS's own")
            documents = [p["PolicyDocument"] for p in properties.get("Policies", [])] + ([properties["PolicyDocument"]] if "PolicyDocument" in properties else [])
            out += [(f"{file} {name} {statement['Sid']}", statement) for document in documents for statement in document["Statement"]]
    return out


@suite.case("a node's role: every statement names its resource, or is a reading or narrowed call; secrets of its own path only")
def _(t):
    found = _statements()
    check(len(found) >= 15, f"only {len(found)} statements")
    for where, statement in found:
        equal(statement["Effect"], "Allow", where)
        actions = statement["Action"]
        check(all(re.fullmatch(r"[a-z0-9]+:[A-Za-z0-9]+", action) for action in actions), f"{where} has a wildcard: {actions}")
        if statement["Resource"] != "*":
            continue
        for action in actions:
            reads = re.search(r":(Describe|List)", action)
            check(reads or action in ONLY_STAR or "Condition" in statement, f"{where} may {action} everything")
    by_name = {where.split()[-1]: statement for where, statement in found}
    check(by_name["ReadSecrets"]["Resource"]["Fn::Sub"].endswith("parameter${SecretsPath}/*"), "parameters")
    for name in ("DecryptSecrets", "DecryptBrokerUser"):
        check("kms:ViaService" in by_name[name]["Condition"]["StringEquals"], f"{name} is bound to the service that decrypts")
    check("kms:EncryptionContext:PARAMETER_ARN" in by_name["DecryptSecrets"]["Condition"]["StringLike"], "and to the parameters")
    check("aws:ResourceTag/adtrack" in by_name["AttachVolume"]["Condition"]["StringEquals"], "volumes")
    check(not any("Delete" in action for _, statement in found for action in statement["Action"]), "a node deletes nothing")


@suite.case("no template takes a secret: none is a parameter, none stands in user data, and the brokers' password is made by AWS")
def _(t):
    for name, body in aws_cloud.templates().items():
        for key, parameter in body.get("Parameters", {}).items():
            if re.search(r"(?i)password|token|secret(?!sPath)", key):
                check(parameter.get("NoEcho") is True, f"{name}: {key} is shown")
    secret = aws_cloud.resources("AWS::SecretsManager::Secret")[0][2]["Properties"]
    check("SecretString" not in secret and secret["GenerateSecretString"]["GenerateStringKey"] == "password", f"the password: {secret}")
    for text in (open(path, encoding="utf-8").read() for path in glob.glob(os.path.join(aws_cloud.CONFIG, "*.yaml"))):
        check(not re.search(r"(?i)(password|secret|token)\s*[:=]\s*[\"']?[A-Za-z0-9/+]{16,}", text), "nothing looks like a secret")


@suite.case("backups: versions, encryption, no public access, over TLS only")
def _(t):
    check(_cloud().exports(NAME)["Backups"] in [b["Name"] for b in _cloud().client("s3").list_buckets()["Buckets"]], "the bucket is there")
    body = aws_cloud.template("shared.yaml")["Resources"]  # moto takes no more than the name out of a template
    bucket = body["Backups"]["Properties"]
    equal(bucket["VersioningConfiguration"]["Status"], "Enabled", "versions")
    check(bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"], "encryption")
    equal(sorted(bucket["PublicAccessBlockConfiguration"].items()),
          [(key, True) for key in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")], "public access")
    statement = body["BackupsByTls"]["Properties"]["PolicyDocument"]["Statement"][0]
    equal((statement["Effect"], statement["Condition"]), ("Deny", {"Bool": {"aws:SecureTransport": "false"}}), "without TLS")


@suite.case("a deleted stack leaves what holds events: data volumes, brokers with their network, backups")
def _(t):
    kept = {("adtrack.yaml", "Network"), ("adtrack.yaml", "LogBrokers"), ("brokers.yaml", "Cluster"), ("brokers.yaml", "Key"), ("brokers.yaml", "User"),
            ("node.yaml", "Data"), ("shared.yaml", "Backups")}
    for name, body in aws_cloud.templates().items():
        for key, resource in body["Resources"].items():
            policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            equal(policies == ("Retain", "Retain"), (name, key) in kept, f"{name} {key} is kept when it is deleted or replaced")
    cloud = _cloud()
    volumes = [cloud.exports(NAME)[f"Volume{number}"] for number in (1, 2, 3)]
    bucket = cloud.exports(NAME)["Backups"]
    for number in (1, 2, 3):  # moto does not follow a root stack's deletion into its parts
        part = [s["StackName"] for s in cloud.client("cloudformation").describe_stacks()["Stacks"] if s["StackName"].startswith(f"{NAME}-Node{number}-")]
        cloud.client("cloudformation").delete_stack(StackName=part[0])
    equal(cloud.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[f"{NAME}-node-1"])["AutoScalingGroups"], [], "groups")
    for volume in volumes:
        check(cloud.volume(volume)["State"] in ("available", "in-use"), f"{volume} is there")
    check(bucket in [b["Name"] for b in cloud.client("s3").list_buckets()["Buckets"]], "backups are there")
